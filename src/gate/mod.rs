//! Admission: who may come in. Rules only; the HTTP that asks them lives in `http`.

pub mod host;
pub mod origin;
