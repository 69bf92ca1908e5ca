//! The implementation language that each frame carries.

use std::fmt;

/// A language code; numbers without a name are kept as they came.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language(u8);

macro_rules! languages {
    ($($name:ident = $value:literal,)*) => {
        impl Language {
            $(
                #[doc = concat!("Language ", stringify!($value), ".")]
                pub const $name: Self = Self($value);
            )*

            /// The name on the wire; `OTHER` for a number without a name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => stringify!($name),)*
                    _ => "OTHER",
                }
            }

            /// The language of this name in any letter case, `UNKNOWN` for any other.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                $(if name.eq_ignore_ascii_case(stringify!($name)) {
                    return Self::$name;
                })*
                Self::UNKNOWN
            }
        }
    };
}

languages! {
    JAVA = 0,
    CPP = 1,
    DOTNET = 2,
    PYTHON = 3,
    DELPHI = 4,
    ERLANG = 5,
    RUBY = 6,
    OTHER = 7,
    HTTP = 8,
    GO = 9,
    PHP = 10,
    OMS = 11,
    RUST = 12,
    NODE_JS = 13,
}

impl Language {
    /// A name that is in no table; the Go client uses the same number for it.
    pub const UNKNOWN: Self = Self(127);

    /// What rmq writes in its own frames: old clients close the connection on a name that they do
    /// not know, and every client knows this one.
    pub const OWN: Self = Self::JAVA;

    /// The language with this number, named or not.
    #[must_use]
    pub const fn new(code: u8) -> Self {
        Self(code)
    }

    /// The number in the binary header.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(Language::from_name("GO"), Language::GO);
        assert_eq!(Language::from_name("go"), Language::GO);
        assert_eq!(Language::from_name("COBOL"), Language::UNKNOWN);
        assert_eq!(Language::new(13).name(), "NODE_JS");
        assert_eq!(Language::UNKNOWN.name(), "OTHER");
    }
}
