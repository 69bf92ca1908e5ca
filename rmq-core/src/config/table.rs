//! The rows of the configuration table and the macro that turns them into a typed snapshot.

use std::collections::BTreeMap;

use crate::config::environment::Environment;
use crate::config::value;

/// The type of a value as an operator writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// A decimal number.
    Double,
    /// Any text.
    Text,
    /// Several texts with `;` between them.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text of a form of its own, described here.
    Form(&'static str),
}

/// What a number counts. Sizes and times may be written with a suffix (`16m`, `5s`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing in particular.
    None,
    /// Bytes; suffixes k, m, g.
    Bytes,
    /// Milliseconds; suffixes ms, s, m, h, d.
    Milliseconds,
    /// Seconds; the same suffixes.
    Seconds,
    /// Hours; the same suffixes.
    Hours,
    /// Hundredths of a whole.
    Percent,
    /// Memory pages of 4 KiB.
    Pages,
}

impl Unit {
    /// The word for tables and messages; empty for [`Unit::None`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bytes => "bytes",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Hours => "h",
            Self::Percent => "%",
            Self::Pages => "pages",
        }
    }
}

/// What happens to a change that arrives at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It takes effect at once.
    Reload,
    /// It is written to the file and takes effect at the next start.
    Restart,
    /// It is refused with `NO_PERMISSION`: paths, secrets and the list of refused keys itself.
    Immutable,
}

/// The value of a key that is not set.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// No value.
    Absent,
    /// This text.
    Text(&'static str),
    /// Derived from the host; `says` is for the documentation.
    Computed {
        /// How it is derived, for a person.
        says: &'static str,
        /// The derivation.
        derive: fn(&Environment) -> Option<String>,
    },
}

/// One configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Apache's name, or one that starts with `rmq.`.
    pub key: &'static str,
    /// A second spelling that is read as well.
    pub alias: Option<&'static str>,
    /// The snapshot's field; `None` for a key that is accepted and has no effect yet.
    pub field: Option<&'static str>,
    /// The type.
    pub kind: Kind,
    /// The default.
    pub preset: Preset,
    /// The smallest and largest number.
    pub range: Option<(i64, i64)>,
    /// What the number counts.
    pub unit: Unit,
    /// What a change at run time does.
    pub change: Change,
    /// Whether answers show `******` in place of the value.
    pub secret: bool,
    /// Whether `mqbroker -m` prints it.
    pub important: bool,
    /// What the key does.
    pub doc: &'static str,
}

const BLANK: Row = Row {
    key: "",
    alias: None,
    field: None,
    kind: Kind::Text,
    preset: Preset::Absent,
    range: None,
    unit: Unit::None,
    change: Change::Restart,
    secret: false,
    important: false,
    doc: "",
};

/// Starts a row whose default is `text`.
pub(crate) const fn is(text: &'static str) -> Row {
    Row {
        preset: Preset::Text(text),
        ..BLANK
    }
}

/// Starts a row that has no value unless one is given.
pub(crate) const fn absent() -> Row {
    BLANK
}

/// Starts a row whose default depends on the host.
pub(crate) const fn computed(
    says: &'static str,
    derive: fn(&Environment) -> Option<String>,
) -> Row {
    Row {
        preset: Preset::Computed { says, derive },
        ..BLANK
    }
}

macro_rules! units {
    ($($(#[$meta:meta])* $name:ident => $unit:ident;)*) => {
        impl Row {$(
            $(#[$meta])*
            pub(crate) const fn $name(mut self) -> Self {
                self.unit = Unit::$unit;
                self
            }
        )*}
    };
}

/// Where metrics can go.
pub(crate) const EXPORTERS: &[&str] = &["DISABLE", "OTLP_GRPC", "PROM", "LOG"];

units! {
    bytes => Bytes;
    ms => Milliseconds;
    seconds => Seconds;
    hours => Hours;
    percent => Percent;
    pages => Pages;
}

impl Row {
    pub(crate) const fn range(mut self, least: i64, most: i64) -> Self {
        self.range = Some((least, most));
        self
    }

    pub(crate) const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.kind = Kind::Choice(words);
        self
    }

    pub(crate) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(crate) const fn reload(mut self) -> Self {
        self.change = Change::Reload;
        self
    }

    pub(crate) const fn immutable(mut self) -> Self {
        self.change = Change::Immutable;
        self
    }

    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self.change = Change::Immutable;
        self
    }

    pub(crate) const fn important(mut self) -> Self {
        self.important = true;
        self
    }

    pub(crate) const fn named(mut self, key: &'static str, kind: Kind, doc: &'static str) -> Self {
        self.key = key;
        if !matches!(self.kind, Kind::Choice(_)) {
            self.kind = kind;
        }
        self.doc = doc;
        self
    }

    pub(crate) const fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// The default's text on this host.
    #[must_use]
    pub fn default_text(&self, environment: &Environment) -> Option<String> {
        match self.preset {
            Preset::Absent => None,
            Preset::Text(text) => Some(text.to_owned()),
            Preset::Computed { derive, .. } => derive(environment),
        }
    }

    /// What values are allowed, as a person reads it: the end of "allowed is ...".
    #[must_use]
    pub fn allowed(&self) -> String {
        let unit = self.unit.name();
        let numbers = |least: i64, most: i64| match (most, unit) {
            (i64::MAX, "") => format!("a whole number from {least} on"),
            (i64::MAX, _) => format!("a whole number of {unit} from {least} on"),
            (_, "") => format!("a whole number from {least} to {most}"),
            _ => format!("a whole number from {least} to {most} {unit}"),
        };
        match (self.kind, self.range) {
            (Kind::Bool, _) => "true or false".to_owned(),
            (Kind::Int | Kind::Long, Some((least, most))) => numbers(least, most),
            (Kind::Int, None) => numbers(i64::from(i32::MIN), i64::from(i32::MAX)),
            (Kind::Long, None) => "a whole number".to_owned(),
            (Kind::Double, _) => "a number".to_owned(),
            (Kind::Text, _) => "any text".to_owned(),
            (Kind::List, _) => "texts with ; between them".to_owned(),
            (Kind::Choice(words), _) => words.join(" or "),
            (Kind::Form(form), _) => form.to_owned(),
        }
    }
}

/// Values of a group's keys that have no field, and changes that wait for the next start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Accepted keys whose value differs from the fixed default.
    accepted: BTreeMap<&'static str, String>,
    /// Changes that were asked for at run time and take effect at the next start.
    pending: BTreeMap<&'static str, String>,
}

impl Extras {
    pub(crate) fn accept(&mut self, row: &Row, text: &str) -> Result<(), String> {
        value::check(row, text)?;
        self.accepted.insert(row.key, text.trim().to_owned());
        Ok(())
    }

    pub(crate) fn accepted(&self, row: &Row) -> Option<String> {
        self.accepted
            .get(row.key)
            .cloned()
            .or_else(|| match row.preset {
                Preset::Text(text) => Some(text.to_owned()),
                _ => None,
            })
    }

    pub(crate) fn pend(&mut self, row: &Row, text: Option<String>) {
        match text {
            Some(text) => self.pending.insert(row.key, text),
            None => self.pending.remove(row.key),
        };
    }

    pub(crate) fn pending(&self, row: &Row) -> Option<String> {
        self.pending.get(row.key).cloned()
    }
}

/// A struct made by [`settings!`]: typed fields for some rows, texts for the others.
pub trait Group {
    /// The rows of this group alone.
    fn rows(&self) -> &'static [Row];
    /// Sets the value of one of its rows.
    ///
    /// # Errors
    /// What is wrong with `text`, without naming the key.
    fn set(&mut self, row: &Row, text: &str) -> Result<(), String>;
    /// The value in use; `None` when there is none.
    fn text(&self, row: &Row) -> Option<String>;
    /// The group's texts without a field.
    fn extras(&self) -> &Extras;
    /// The same, to change.
    fn extras_mut(&mut self) -> &mut Extras;
}

/// A group and the groups it is made of.
pub trait Settings: Group {
    /// Calls `see` with this group and every part.
    fn visit(&self, see: &mut dyn FnMut(&dyn Group));
    /// The same, to change.
    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut dyn Group));
}

/// Makes the struct of a group from its rows.
///
/// `parts` are groups nested in it; `used` rows get a field of the type named; `accepted` rows are
/// kept as text. Sections may be empty, none may be left out.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            parts { $($part:ident: $part_type:ty, $part_doc:literal;)* }
            used { $($field:ident: $type:ty, $key:literal = $row:expr, $doc:literal;)* }
            accepted { $($other:literal: $kind:ident = $other_row:expr, $other_doc:literal;)* }
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(#[doc = $part_doc] pub $part: $part_type,)*
            $(#[doc = $doc] #[doc = ""] #[doc = concat!("Key `", $key, "`.")] pub $field: $type,)*
            extras: $crate::config::table::Extras,
        }

        impl $name {
            /// The rows of this group.
            pub const ROWS: &'static [$crate::config::table::Row] = &[
                $($row.named($key, <$type as $crate::config::value::Value>::KIND, $doc)
                    .field(stringify!($field)),)*
                $($other_row.named($other, $crate::config::table::Kind::$kind, $other_doc),)*
            ];
        }

        impl $crate::config::table::Group for $name {
            fn rows(&self) -> &'static [$crate::config::table::Row] {
                Self::ROWS
            }

            fn set(
                &mut self,
                row: &$crate::config::table::Row,
                text: &str,
            ) -> Result<(), String> {
                match row.key {
                    $($key => self.$field = $crate::config::value::Value::parse(row, text)?,)*
                    _ => self.extras.accept(row, text)?,
                }
                Ok(())
            }

            fn text(&self, row: &$crate::config::table::Row) -> Option<String> {
                match row.key {
                    $($key => $crate::config::value::Value::render(&self.$field),)*
                    _ => self.extras.accepted(row),
                }
            }

            fn extras(&self) -> &$crate::config::table::Extras {
                &self.extras
            }

            fn extras_mut(&mut self) -> &mut $crate::config::table::Extras {
                &mut self.extras
            }
        }

        impl $crate::config::table::Settings for $name {
            fn visit(&self, see: &mut dyn FnMut(&dyn $crate::config::table::Group)) {
                see(self);
                $($crate::config::table::Settings::visit(&self.$part, see);)*
            }

            fn visit_mut(&mut self, see: &mut dyn FnMut(&mut dyn $crate::config::table::Group)) {
                see(self);
                $($crate::config::table::Settings::visit_mut(&mut self.$part, see);)*
            }
        }
    };
}

pub(crate) use settings;
