//! Rust source as tokens: enough of the language that no rule is fooled by a comment or a string.

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ident(String),
    /// `::`
    PathSep,
    Punct(char),
    /// A string, byte string or C string, without its quotes.
    Text(String),
    /// A number, a character or a lifetime: nothing that a rule looks into.
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

/// A run of comments with no code between them.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) last_line: usize,
    pub(crate) text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: Vec<Comment>,
}

/// Splits a source file; malformed input ends the last token early and is never an error here,
/// because the compiler has its own say.
pub(crate) fn lex(source: &str) -> Lexed {
    let chars: Vec<char> = source.chars().collect();
    let mut lexer = Lexer {
        chars: &chars,
        at: 0,
        line: 1,
        out: Lexed::default(),
    };
    lexer.run();
    lexer.out
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
    line: usize,
    out: Lexed,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn bump(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        c
    }

    fn ended(&self) -> bool {
        self.at >= self.chars.len()
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.out.tokens.push(Token { kind, line });
    }

    fn run(&mut self) {
        while !self.ended() {
            let (c, next) = (self.peek(0), self.peek(1));
            let line = self.line;
            match c {
                '/' if next == '/' => self.line_comment(),
                '/' if next == '*' => self.block_comment(),
                '"' => self.string(line),
                '\'' => self.quote(line),
                ':' if next == ':' => {
                    self.at += 2;
                    self.push(Kind::PathSep, line);
                }
                _ if c.is_ascii_digit() => self.number(line),
                _ if c.is_alphabetic() || c == '_' => self.word(line),
                _ if c.is_whitespace() => {
                    self.bump();
                }
                _ => {
                    self.bump();
                    self.push(Kind::Punct(c), line);
                }
            }
        }
    }

    fn comment(&mut self, first_line: usize, text: &str) {
        let last_line = self.line;
        let code_between = self.out.tokens.last().map_or(0, |t| t.line);
        if let Some(run) = self.out.comments.last_mut()
            && run.last_line + 1 >= first_line
            && code_between <= run.last_line
        {
            run.last_line = last_line;
            run.text.push('\n');
            run.text.push_str(text);
            return;
        }
        self.out.comments.push(Comment {
            last_line,
            text: text.to_owned(),
        });
    }

    fn line_comment(&mut self) {
        let start = self.at;
        while !self.ended() && self.peek(0) != '\n' {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        self.comment(self.line, &text);
    }

    fn block_comment(&mut self) {
        let (start, line) = (self.at, self.line);
        let mut depth = 0;
        while !self.ended() {
            if self.peek(0) == '/' && self.peek(1) == '*' {
                depth += 1;
                self.at += 2;
            } else if self.peek(0) == '*' && self.peek(1) == '/' {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    break;
                }
            } else {
                self.bump();
            }
        }
        let text: String = self.chars[start..self.at.min(self.chars.len())]
            .iter()
            .collect();
        self.comment(line, &text);
    }

    fn string(&mut self, line: usize) {
        self.bump();
        let mut text = String::new();
        while !self.ended() {
            match self.bump() {
                '"' => break,
                '\\' => {
                    self.bump();
                }
                c => text.push(c),
            }
        }
        self.push(Kind::Text(text), line);
    }

    fn raw_string(&mut self, line: usize) {
        let mut hashes = 0;
        while self.peek(0) == '#' {
            hashes += 1;
            self.at += 1;
        }
        self.bump();
        let mut text = String::new();
        while !self.ended() {
            let c = self.bump();
            if c == '"' && (0..hashes).all(|i| self.peek(i) == '#') {
                self.at += hashes;
                break;
            }
            text.push(c);
        }
        self.push(Kind::Text(text), line);
    }

    /// A character literal or a lifetime.
    fn quote(&mut self, line: usize) {
        self.bump();
        if self.peek(0) == '\\' {
            self.at += 2;
            while !self.ended() && self.bump() != '\'' {}
        } else if self.peek(1) == '\'' {
            self.bump();
            self.bump();
        } else {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.at += 1;
            }
        }
        self.push(Kind::Other, line);
    }

    fn number(&mut self, line: usize) {
        loop {
            let c = self.peek(0);
            let fraction = c == '.' && self.peek(1).is_ascii_digit();
            if !(c.is_alphanumeric() || c == '_' || fraction) {
                break;
            }
            self.at += 1;
        }
        self.push(Kind::Other, line);
    }

    fn word(&mut self, line: usize) {
        let start = self.at;
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        let hash_string = self.peek(0) == '#' && matches!(self.peek(1), '#' | '"');
        match (word.as_str(), self.peek(0)) {
            (_, '"') if raw => self.raw_string(line),
            (_, '#') if raw && hash_string => self.raw_string(line),
            ("b" | "c", '"') => self.string(line),
            ("b", '\'') => self.quote(line),
            ("r", '#') => self.at += 1,
            _ => self.push(Kind::Ident(word), line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        let idents = lex(source).tokens.into_iter().filter_map(|t| match t.kind {
            Kind::Ident(word) => Some(word),
            _ => None,
        });
        idents.collect()
    }

    #[test]
    fn strings_and_comments_hide_their_words() {
        let source = "a /* b /* c */ d */ \"e\\\" f\" r#\"g \" h\"# // i\n br\"j\" c\"k\" l";
        assert_eq!(words(source), ["a", "l"]);
    }

    #[test]
    fn quotes_are_characters_or_lifetimes() {
        assert_eq!(
            words("'a' b '\\'' c 'd e '\\u{1F600}' f b'\"' g '\"' h"),
            ["b", "c", "e", "f", "g", "h"]
        );
    }

    #[test]
    fn raw_identifiers_and_numbers() {
        assert_eq!(words("r#type 1_000u64 0..x 1.5e3 y"), ["type", "x", "y"]);
    }

    #[test]
    fn lines_are_counted_through_strings() {
        let lexed = lex("\"a\nb\"\nc // one\n// two\n\n// three\n");
        assert_eq!(lexed.tokens.last().map(|t| t.line), Some(3));
        let runs: Vec<_> = lexed.comments.iter().map(|c| c.last_line).collect();
        assert_eq!(runs, [4, 6]);
    }
}
