//! JSON objects, written field by field in the order in which they are to stand.

use serde::Serialize;

use super::Identity;
use crate::rooms::conversation::View;

/// An object that is begun and not yet [ended](Self::end).
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Object<'o> {
    /// A message of the server.
    pub(super) fn message(out: &'o mut Vec<u8>, kind: &str) -> Self {
        Self::new(out).field("type", kind)
    }

    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    #[allow(clippy::expect_used, reason = "neither a Vec nor what is given here fails")]
    pub(super) fn field(mut self, name: &str, value: impl Serialize) -> Self {
        self.key(name);
        serde_json::to_writer(&mut *self.out, &value).expect("plain values, into memory");
        self
    }

    pub(super) fn optional(self, name: &str, value: Option<impl Serialize>) -> Self {
        match value {
            None => self,
            Some(value) => self.field(name, value),
        }
    }

    /// A field whose value is JSON text already.
    pub(super) fn raw(mut self, name: &str, json: &str) -> Self {
        self.key(name);
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// The `ref` of the request that this answers.
    pub(super) fn reference(self, json: Option<&str>) -> Self {
        match json {
            None => self,
            Some(json) => self.raw("ref", json),
        }
    }

    /// Which conversation it is about.
    pub(super) fn view(self, view: &View) -> Self {
        let (name, value) = view.field();
        self.field(name, value)
    }

    pub(super) fn user(self, user: &str, name: &str) -> Self {
        self.field("user", user).field("name", name)
    }

    /// Who sent it.
    pub(super) fn from(self, from: &Identity) -> Self {
        self.object("from", |object| object.user(&from.user, &from.name).end())
    }

    /// A field that is an object, which `write` ends.
    pub(super) fn object(mut self, name: &str, write: impl FnOnce(Object<'_>)) -> Self {
        self.key(name);
        write(Object::new(self.out));
        self
    }

    /// A field that is an array of objects, each of which `write` ends.
    pub(super) fn objects<T>(
        mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(Object<'_>, T),
    ) -> Self {
        self.key(name);
        objects(self.out, items, write);
        self
    }

    /// A field that is an array of what is JSON text already.
    pub(super) fn raw_list<'t>(
        mut self,
        name: &str,
        items: impl IntoIterator<Item = &'t [u8]>,
    ) -> Self {
        self.key(name);
        list(self.out, items, |out, item| out.extend_from_slice(item));
        self
    }

    fn key(&mut self, name: &str) {
        // No value ends like that, so the object is still empty.
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// An array of objects, each of which `write` ends.
pub(super) fn objects<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(Object<'_>, T),
) {
    list(out, items, |out, item| write(Object::new(out), item));
}

fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}
