//! The lenient reader as a serde deserializer. Nothing is borrowed from the text, so that a name
//! that is itself JSON inside a string can be read by the same code.

use std::borrow::Cow;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use super::lexer::{Lexer, Token};
use super::{Flavour, Json, JsonError, number, to_text};

type Result<T> = std::result::Result<T, JsonError>;

/// Reads one value that is the whole text.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    let mut reader = Reader {
        lexer: Lexer::new(text),
    };
    if reader.lexer.clone().take_null()? {
        return Err(JsonError::wrong_type("null alone", reader.lexer.at));
    }
    let value = T::deserialize(&mut reader)?;
    reader.lexer.finish()?;
    Ok(value)
}

struct Reader<'a> {
    lexer: Lexer<'a>,
}

fn type_error<T>(want: &str, at: usize) -> Result<T> {
    Err(JsonError::wrong_type(want, at))
}

/// The integer that a scalar stands for; `null` is 0.
fn integer(token: &Token<'_>, at: usize) -> Result<i64> {
    let value = match token {
        Token::Null => Some(0),
        Token::Bool(value) => Some(i64::from(*value)),
        Token::Number(text) => number::integer(text),
        Token::String(text) => number::integer_of_string(text),
        Token::Array | Token::Object => None,
    };
    value.map_or_else(|| type_error("expected an integer", at), Ok)
}

fn double(token: &Token<'_>, at: usize) -> Result<f64> {
    let value = match token {
        Token::Null => Some(0.0),
        Token::Number(text) => number::double(text),
        Token::String(text) => number::double_of_string(text),
        Token::Bool(_) | Token::Array | Token::Object => None,
    };
    value.map_or_else(|| type_error("expected a number", at), Ok)
}

fn boolean(token: &Token<'_>, at: usize) -> Result<bool> {
    let value = match token {
        Token::Null => Some(false),
        Token::Bool(value) => Some(*value),
        Token::Number(text) => number::integer(text).map(|value| value == 1),
        Token::String(text) => number::bool_of_string(text),
        Token::Array | Token::Object => None,
    };
    value.map_or_else(|| type_error("expected a boolean", at), Ok)
}

fn visit_number<'de, V: Visitor<'de>>(text: &str, visitor: V, at: usize) -> Result<V::Value> {
    if let Ok(value) = text.parse::<i64>() {
        return visitor.visit_i64(value);
    }
    match number::double(text) {
        Some(value) => visitor.visit_f64(value),
        None => type_error("expected a number", at),
    }
}

macro_rules! scalars {
    ($($method:ident => $visit:ident, $coerce:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let at = self.lexer.at;
            let token = self.lexer.token()?;
            visitor.$visit($coerce(&token, at)?)
        })*
    };
}

impl Reader<'_> {
    /// The text of a value that is to be a string: arrays and objects become their own JSON.
    fn text_of_value(&mut self) -> Result<Cow<'_, str>> {
        let at = self.lexer.at;
        Ok(match self.lexer.token()? {
            Token::Null => Cow::Borrowed(""),
            Token::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Token::Number(text) => Cow::Borrowed(text),
            Token::String(text) => text,
            Token::Array | Token::Object => {
                self.lexer = self.lexer.seek(at);
                let tree = <Json as serde::Deserialize>::deserialize(&mut *self)?;
                Cow::Owned(to_text(&tree, Flavour::Fastjson))
            }
        })
    }

    fn visit_object<'de, V: Visitor<'de>>(
        &mut self,
        fields: &'static [&'static str],
        keep_nulls: bool,
        visitor: V,
    ) -> Result<V::Value> {
        self.lexer.enter()?;
        let mut members = Members {
            reader: self,
            fields,
            keep_nulls,
            first: true,
            ended: false,
        };
        let value = visitor.visit_map(&mut members)?;
        while !members.ended {
            // The visitor had enough; the rest is still checked.
            if members.next_key::<serde::de::IgnoredAny>()?.is_some() {
                members.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        self.lexer.leave();
        Ok(value)
    }

    fn visit_array<'de, V: Visitor<'de>>(
        &mut self,
        keep_nulls: bool,
        visitor: V,
    ) -> Result<V::Value> {
        self.lexer.enter()?;
        let mut elements = Elements {
            reader: self,
            keep_nulls,
            first: true,
            ended: false,
        };
        let value = visitor.visit_seq(&mut elements)?;
        while !elements.ended {
            elements.next_element::<serde::de::IgnoredAny>()?;
        }
        self.lexer.leave();
        Ok(value)
    }

    /// An object, or what stands for one without members.
    fn object<'de, V: Visitor<'de>>(
        &mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let at = self.lexer.at;
        match self.lexer.token()? {
            Token::Object => self.visit_object(fields, false, visitor),
            Token::Null => visitor.visit_map(Nothing),
            Token::String(text) if text.is_empty() => visitor.visit_map(Nothing),
            Token::Array if self.lexer.take(b']')? => visitor.visit_map(Nothing),
            _ => type_error("expected an object", at),
        }
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'_> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.lexer.count_node()?;
        let at = self.lexer.at;
        match self.lexer.token()? {
            Token::Null => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Number(text) => visit_number(text, visitor, at),
            Token::String(Cow::Borrowed(text)) => visitor.visit_str(text),
            Token::String(Cow::Owned(text)) => visitor.visit_string(text),
            Token::Array => self.visit_array(true, visitor),
            Token::Object => self.visit_object(&[], true, visitor),
        }
    }

    scalars! {
        deserialize_bool => visit_bool, boolean;
        deserialize_i8 => visit_i64, integer;
        deserialize_i16 => visit_i64, integer;
        deserialize_i32 => visit_i64, integer;
        deserialize_i64 => visit_i64, integer;
        deserialize_u8 => visit_i64, integer;
        deserialize_u16 => visit_i64, integer;
        deserialize_u32 => visit_i64, integer;
        deserialize_u64 => visit_i64, integer;
        deserialize_f32 => visit_f64, double;
        deserialize_f64 => visit_f64, double;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.text_of_value()? {
            Cow::Borrowed(text) => visitor.visit_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.lexer.take_null()? {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.lexer.peek()? {
            Some(b'[' | b'S' | b'T') => {
                self.lexer.token()?;
                self.visit_array(false, visitor)
            }
            _ if self.lexer.take_null()? => visitor.visit_seq(Nothing),
            // A single value stands for a list of it.
            _ => visitor.visit_seq(One { reader: Some(self) }),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.object(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.object(fields, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.lexer.skip_value()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple_struct enum identifier
    }
}

/// No elements, no members.
struct Nothing;

impl<'de> SeqAccess<'de> for Nothing {
    type Error = JsonError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<Option<S::Value>> {
        Ok(None)
    }
}

impl<'de> MapAccess<'de> for Nothing {
    type Error = JsonError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<Option<S::Value>> {
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, _: S) -> Result<S::Value> {
        type_error("expected a member", 0)
    }
}

/// A single value as a list of one.
struct One<'r, 'a> {
    reader: Option<&'r mut Reader<'a>>,
}

impl<'de> SeqAccess<'de> for One<'_, '_> {
    type Error = JsonError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.reader
            .take()
            .map(|reader| seed.deserialize(reader))
            .transpose()
    }
}

struct Elements<'r, 'a> {
    reader: &'r mut Reader<'a>,
    keep_nulls: bool,
    first: bool,
    ended: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = JsonError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        while !self.ended {
            if !self.reader.lexer.next_element(self.first, b']')? {
                self.ended = true;
                break;
            }
            self.first = false;
            if self.keep_nulls || !self.reader.lexer.take_null()? {
                return seed.deserialize(&mut *self.reader).map(Some);
            }
        }
        Ok(None)
    }
}

/// The members of an object: those of a type when `fields` is not empty, else entries of a map.
struct Members<'r, 'a> {
    reader: &'r mut Reader<'a>,
    fields: &'static [&'static str],
    keep_nulls: bool,
    first: bool,
    ended: bool,
}

/// Whether `name` means `field` to fastjson: in any case, without `_` and `-`, with or without a
/// leading `is`.
fn smart_match(name: &str, field: &str) -> bool {
    fn same(name: &str, field: &str) -> bool {
        let plain = |b: &u8| *b != b'_' && *b != b'-';
        name.bytes()
            .filter(plain)
            .map(|b| b.to_ascii_lowercase())
            .eq(field.bytes().filter(plain).map(|b| b.to_ascii_lowercase()))
    }
    let is = name
        .get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("is"));
    same(name, field) || (is && same(&name[2..], field))
}

impl<'a> Members<'_, 'a> {
    /// The next name and where it starts, with its colon consumed; members that are `null` are
    /// passed over.
    fn next_name(&mut self) -> Result<Option<(Token<'a>, usize)>> {
        let lexer = &mut self.reader.lexer;
        while !self.ended {
            if !lexer.next_element(self.first, b'}')? {
                self.ended = true;
                break;
            }
            self.first = false;
            let at = lexer.at;
            let name = if lexer.peek()? == Some(b'{') {
                lexer.skip_value()?;
                Token::Object
            } else {
                lexer.name()?
            };
            lexer.colon()?;
            if self.keep_nulls || !lexer.take_null()? {
                return Ok(Some((name, at)));
            }
        }
        Ok(None)
    }
}

impl<'de> MapAccess<'de> for Members<'_, '_> {
    type Error = JsonError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some((name, at)) = self.next_name()? else {
            return Ok(None);
        };
        if let (Token::String(text), false) = (&name, self.fields.is_empty())
            && !self.fields.contains(&text.as_ref())
            && let Some(field) = self.fields.iter().find(|field| smart_match(text, field))
        {
            return seed.deserialize((*field).into_deserializer()).map(Some);
        }
        let name = Name {
            name,
            lexer: self.reader.lexer.seek(at),
        };
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(&mut *self.reader)
    }
}

/// The name of a member, as what the type wants: text, a number, or a type of its own.
struct Name<'a> {
    name: Token<'a>,
    /// At the start of the name.
    lexer: Lexer<'a>,
}

macro_rules! name_scalars {
    ($($method:ident => $visit:ident, $coerce:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit($coerce(&self.name, self.lexer.at)?)
        })*
    };
}

impl Name<'_> {
    /// Reads the name as an object, which may lie inside a string.
    fn object<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let at = self.lexer.at;
        match &self.name {
            Token::Object => Reader { lexer: self.lexer }.object(fields, visitor),
            Token::String(text) => {
                let mut lexer = self.lexer.nested(text);
                lexer.enter()?;
                let mut reader = Reader { lexer };
                let value = reader.object(fields, visitor)?;
                reader.lexer.finish()?;
                Ok(value)
            }
            _ => type_error("expected an object as name", at),
        }
    }
}

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.name {
            Token::Number(text) => visit_number(text, visitor, self.lexer.at),
            Token::Object => Reader { lexer: self.lexer }.deserialize_any(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    name_scalars! {
        deserialize_bool => visit_bool, boolean;
        deserialize_i8 => visit_i64, integer;
        deserialize_i16 => visit_i64, integer;
        deserialize_i32 => visit_i64, integer;
        deserialize_i64 => visit_i64, integer;
        deserialize_u8 => visit_i64, integer;
        deserialize_u16 => visit_i64, integer;
        deserialize_u32 => visit_i64, integer;
        deserialize_u64 => visit_i64, integer;
        deserialize_f32 => visit_f64, double;
        deserialize_f64 => visit_f64, double;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.name {
            Token::Number(text) => visitor.visit_str(text),
            Token::String(Cow::Borrowed(text)) => visitor.visit_str(text),
            Token::String(Cow::Owned(text)) => visitor.visit_string(text),
            _ => Reader { lexer: self.lexer }.deserialize_str(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.object(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.object(fields, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct seq tuple tuple_struct enum
    }
}
