//! The writer as a serde serializer. Each call says whether it wrote `null`, so that a member with
//! that value can be taken back.

use std::fmt::Write;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::number::push_double;
use super::{Flavour, JsonError};

type Result<T> = std::result::Result<T, JsonError>;

/// What a value wrote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    Null,
    Value,
}

pub(super) fn write<T: Serialize + ?Sized>(
    value: &T,
    flavour: Flavour,
    out: &mut String,
) -> Result<()> {
    let mut writer = Writer {
        out,
        flavour,
        indent: 0,
    };
    value.serialize(&mut writer)?;
    Ok(())
}

struct Writer<'o> {
    out: &'o mut String,
    flavour: Flavour,
    indent: usize,
}

fn push_unicode_escape(unit: u16, out: &mut String) {
    let _ = write!(out, "\\u{unit:04X}");
}

/// Appends `text` with its quotes. `ascii` escapes everything else and the slash.
pub(super) fn push_string(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let escape = match c {
            '"' | '\\' => true,
            '/' => ascii,
            ' '..='~' => false,
            '\0'..='\u{9f}' | '\u{2028}' | '\u{2029}' => true,
            _ => ascii,
        };
        if !escape {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    push_unicode_escape(*unit, out);
                }
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

impl Writer<'_> {
    fn string(&mut self, text: &str) {
        push_string(text, self.flavour == Flavour::Standard, self.out);
    }

    /// A new line in the pretty flavour.
    fn line(&mut self) {
        if self.flavour == Flavour::Pretty {
            self.out.push('\n');
            for _ in 0..self.indent {
                self.out.push('\t');
            }
        }
    }

    fn display(&mut self, value: impl std::fmt::Display) -> Result<Wrote> {
        let _ = write!(self.out, "{value}");
        Ok(Wrote::Value)
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty;)*) => {
        $(fn $method(self, value: $type) -> Result<Wrote> {
            self.display(value)
        })*
    };
}

impl<'w, 'o> Serializer for &'w mut Writer<'o> {
    type Ok = Wrote;
    type Error = JsonError;
    type SerializeSeq = List<'w, 'o>;
    type SerializeTuple = List<'w, 'o>;
    type SerializeTupleStruct = List<'w, 'o>;
    type SerializeTupleVariant = List<'w, 'o>;
    type SerializeMap = Object<'w, 'o>;
    type SerializeStruct = Object<'w, 'o>;
    type SerializeStructVariant = Object<'w, 'o>;

    integers! {
        serialize_bool: bool;
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
        serialize_u8: u8;
        serialize_u16: u16;
        serialize_u32: u32;
        serialize_u64: u64;
    }

    fn serialize_f32(self, value: f32) -> Result<Wrote> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<Wrote> {
        push_double(value, self.out);
        Ok(Wrote::Value)
    }

    fn serialize_char(self, value: char) -> Result<Wrote> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<Wrote> {
        self.string(value);
        Ok(Wrote::Value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Wrote> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<Wrote> {
        self.out.push_str("null");
        Ok(Wrote::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Wrote> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Wrote> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Wrote> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Wrote> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Wrote> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Wrote> {
        let mut object = Object::open(self);
        object.member(variant, value)?;
        object.close()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'w, 'o>> {
        Ok(List::open(self, false))
    }

    fn serialize_tuple(self, _len: usize) -> Result<List<'w, 'o>> {
        Ok(List::open(self, true))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List<'w, 'o>> {
        Ok(List::open(self, true))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<List<'w, 'o>> {
        Ok(List::open(self, true))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Object<'w, 'o>> {
        Ok(Object::open(self))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Object<'w, 'o>> {
        Ok(Object::open(self))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Object<'w, 'o>> {
        Ok(Object::open(self))
    }
}

/// An array. fastjson breaks the lines of lists and not those of sets.
struct List<'w, 'o> {
    writer: &'w mut Writer<'o>,
    inline: bool,
    empty: bool,
}

impl<'w, 'o> List<'w, 'o> {
    fn open(writer: &'w mut Writer<'o>, inline: bool) -> Self {
        writer.out.push('[');
        if !inline {
            writer.indent += 1;
        }
        Self {
            writer,
            inline,
            empty: true,
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if !self.empty {
            self.writer.out.push(',');
        }
        self.empty = false;
        if !self.inline {
            self.writer.line();
        }
        value.serialize(&mut *self.writer)?;
        Ok(())
    }

    fn close(self) -> Result<Wrote> {
        if !self.inline {
            self.writer.indent -= 1;
            if !self.empty {
                self.writer.line();
            }
        }
        self.writer.out.push(']');
        Ok(Wrote::Value)
    }
}

macro_rules! list {
    ($($trait:ident: $method:ident;)*) => {
        $(impl $trait for List<'_, '_> {
            type Ok = Wrote;
            type Error = JsonError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            fn end(self) -> Result<Wrote> {
                self.close()
            }
        })*
    };
}

list! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

/// An object.
struct Object<'w, 'o> {
    writer: &'w mut Writer<'o>,
    empty: bool,
    /// Length of the output before the member that is being written.
    mark: usize,
}

impl<'w, 'o> Object<'w, 'o> {
    fn open(writer: &'w mut Writer<'o>) -> Self {
        writer.out.push('{');
        writer.indent += 1;
        let mark = writer.out.len();
        Self {
            writer,
            empty: true,
            mark,
        }
    }

    fn name<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<()> {
        self.mark = self.writer.out.len();
        if !self.empty {
            self.writer.out.push(',');
        }
        let start = self.writer.out.len();
        name.serialize(&mut *self.writer)?;
        if self.writer.out.as_bytes().get(start) == Some(&b'"') {
            self.break_line_at(start);
        } else if self.writer.flavour == Flavour::Standard {
            // An integer or an object: its text becomes a string.
            self.writer.out.truncate(start);
            let mut text = String::new();
            write(name, Flavour::Fastjson, &mut text)?;
            self.writer.string(&text);
        }
        self.writer.out.push(':');
        Ok(())
    }

    /// fastjson begins a line before names that are strings, and only before those.
    fn break_line_at(&mut self, start: usize) {
        if self.writer.flavour == Flavour::Pretty {
            let name = self.writer.out.split_off(start);
            self.writer.line();
            self.writer.out.push_str(&name);
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if value.serialize(&mut *self.writer)? == Wrote::Null {
            self.writer.out.truncate(self.mark);
        } else {
            self.empty = false;
        }
        Ok(())
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        self.name(name)?;
        self.value(value)
    }

    fn close(self) -> Result<Wrote> {
        self.writer.indent -= 1;
        if !self.empty {
            self.writer.line();
        }
        self.writer.out.push('}');
        Ok(Wrote::Value)
    }
}

impl SerializeMap for Object<'_, '_> {
    type Ok = Wrote;
    type Error = JsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.name(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.value(value)
    }

    fn end(self) -> Result<Wrote> {
        self.close()
    }
}

macro_rules! object {
    ($($trait:ident),*) => {
        $(impl $trait for Object<'_, '_> {
            type Ok = Wrote;
            type Error = JsonError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<()> {
                self.member(name, value)
            }

            fn end(self) -> Result<Wrote> {
                self.close()
            }
        })*
    };
}

object!(SerializeStruct, SerializeStructVariant);
