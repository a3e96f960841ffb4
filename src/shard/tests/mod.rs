//! A shard's state without its thread: sessions over socket pairs, one operation at a time.

mod checks;
mod churn;
mod copies;
mod fairness;
mod gathering;
mod hop;
mod pacing;
mod peer;
mod presence;
mod turns;
mod world;
