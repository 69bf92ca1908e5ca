//! A source file as the rules see it: the paths it names, its modules, and what is test code.

use crate::lexer::{Comment, Kind, Token, lex};

/// A path that the code names, such as `std::thread::spawn`.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// As far as the file tells, absolute: `crate::...` or beginning with the name of a crate.
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) in_test: bool,
    /// The inline modules round it.
    scope: Vec<String>,
    /// The name that a `use` gives it here.
    alias: Option<String>,
}

impl Path {
    /// Whether `wanted` (with `::`) occurs in the path as whole consecutive segments.
    pub(crate) fn contains(&self, wanted: &str) -> bool {
        let wanted: Vec<&str> = wanted.split("::").collect();
        self.segments
            .windows(wanted.len())
            .any(|window| window == wanted.as_slice())
    }
}

/// `mod name;`
#[derive(Clone, Debug)]
pub(crate) struct ModFile {
    pub(crate) scope: Vec<String>,
    pub(crate) name: String,
    /// The value of `#[path = "..."]`.
    pub(crate) path: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) paths: Vec<Path>,
    /// Names of macros that are called, with their lines.
    pub(crate) macros: Vec<(String, usize, bool)>,
    pub(crate) mod_files: Vec<ModFile>,
    /// Files named by `include!`, `include_str!` and `include_bytes!`.
    pub(crate) included: Vec<String>,
    /// Inclusive ranges of lines that are test code.
    pub(crate) test_lines: Vec<(usize, usize)>,
}

impl Source {
    /// Reads `text`, the code of module `module` (`["broker", "hold"]`) of its crate.
    pub(crate) fn parse(text: &str, module: &[String]) -> Self {
        let lexed = lex(text);
        let mut source = Self {
            tokens: lexed.tokens,
            comments: lexed.comments,
            ..Self::default()
        };
        let tokens = std::mem::take(&mut source.tokens);
        Parser {
            tokens: &tokens,
            at: 0,
            frames: vec![],
            pending: Pending::default(),
        }
        .run(&mut source);
        source.tokens = tokens;
        source.resolve(module);
        source
    }

    /// Whether a line lies in test code.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines
            .iter()
            .any(|&(first, last)| (first..=last).contains(&line))
    }

    /// Makes every path absolute, through `self`, `super` and what `use` brought into scope.
    fn resolve(&mut self, module: &[String]) {
        for path in &mut self.paths {
            make_absolute(&mut path.segments, module, &path.scope);
        }
        let uses: Vec<Path> = self
            .paths
            .iter()
            .filter(|p| p.alias.is_some())
            .cloned()
            .collect();
        for path in &mut self.paths {
            let (first, scope) = (path.segments[0].clone(), &path.scope);
            let visible =
                |u: &&Path| u.alias.as_ref() == Some(&first) && scope.starts_with(&u.scope);
            if let Some(found) = uses.iter().filter(visible).max_by_key(|u| u.scope.len()) {
                let mut segments = found.segments.clone();
                segments.extend(path.segments.drain(1..));
                path.segments = segments;
            }
        }
    }
}

fn make_absolute(segments: &mut Vec<String>, module: &[String], scope: &[String]) {
    let mut here: Vec<String> = module.iter().chain(scope).cloned().collect();
    let mut used = 0;
    for segment in segments.iter() {
        match segment.as_str() {
            "self" if used == 0 => {}
            "super" => {
                here.pop();
            }
            _ => break,
        }
        used += 1;
    }
    // `self` alone is a receiver, not a path.
    if used > 0 && used < segments.len() {
        let rest = segments.split_off(used);
        *segments = vec!["crate".to_owned()];
        segments.extend(here);
        segments.extend(rest);
    }
}

struct Frame {
    module: Option<String>,
    test: bool,
    first_line: usize,
}

/// What attributes and keywords said of the item that comes next.
#[derive(Default)]
struct Pending {
    test: bool,
    path: Option<String>,
    module: Option<String>,
    first_line: Option<usize>,
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    frames: Vec<Frame>,
    pending: Pending,
}

impl<'a> Parser<'a> {
    fn kind(&self, at: usize) -> Option<&'a Kind> {
        self.tokens.get(at).map(|t| &t.kind)
    }

    fn ident(&self, at: usize) -> Option<&'a str> {
        match self.kind(at) {
            Some(Kind::Ident(word)) => Some(word),
            _ => None,
        }
    }

    fn is(&self, at: usize, punct: char) -> bool {
        self.kind(at) == Some(&Kind::Punct(punct))
    }

    fn is_sep(&self, at: usize) -> bool {
        self.kind(at) == Some(&Kind::PathSep)
    }

    fn scope(&self) -> Vec<String> {
        self.frames
            .iter()
            .filter_map(|f| f.module.clone())
            .collect()
    }

    fn in_test(&self) -> bool {
        self.pending.test || self.frames.last().is_some_and(|f| f.test)
    }

    fn run(&mut self, out: &mut Source) {
        while self.at < self.tokens.len() {
            let line = self.tokens[self.at].line;
            match &self.tokens[self.at].kind {
                Kind::Punct('#') => self.attribute(),
                Kind::Punct('{') => self.open(line),
                Kind::Punct('}') => self.close(line, out),
                Kind::Punct(';') => {
                    self.pending = Pending::default();
                    self.at += 1;
                }
                Kind::Ident(word) if word == "use" => self.use_item(out),
                Kind::Ident(word) if word == "mod" => self.mod_item(out),
                Kind::Ident(_) => self.path(out),
                _ => self.at += 1,
            }
        }
    }

    fn attribute(&mut self) {
        let inner = usize::from(self.is(self.at + 1, '!'));
        if !self.is(self.at + 1 + inner, '[') {
            self.at += 1;
            return;
        }
        self.pending
            .first_line
            .get_or_insert(self.tokens[self.at].line);
        let mut depth = 0;
        let mut words = Vec::new();
        let mut text = None;
        for at in self.at + 1 + inner..self.tokens.len() {
            match self.kind(at) {
                Some(Kind::Punct('[')) => depth += 1,
                Some(Kind::Punct(']')) => depth -= 1,
                Some(Kind::Ident(word)) => words.push(word.as_str()),
                Some(Kind::Text(value)) => text = Some(value.clone()),
                _ => {}
            }
            if depth == 0 {
                self.at = at;
                break;
            }
        }
        self.at += 1;
        let is_test = match words.first() {
            Some(&"cfg") => words.contains(&"test") && !words.contains(&"not"),
            Some(&"test") => true,
            _ => false,
        };
        if inner == 0 {
            self.pending.test |= is_test;
            if words.first() == Some(&"path") {
                self.pending.path = text;
            }
        }
    }

    fn open(&mut self, line: usize) {
        let parent = self.frames.last().is_some_and(|f| f.test);
        let pending = std::mem::take(&mut self.pending);
        self.frames.push(Frame {
            module: pending.module,
            test: parent || pending.test,
            first_line: pending.first_line.unwrap_or(line),
        });
        self.at += 1;
    }

    fn close(&mut self, line: usize, out: &mut Source) {
        if let Some(frame) = self.frames.pop()
            && frame.test
            && !self.frames.last().is_some_and(|f| f.test)
        {
            out.test_lines.push((frame.first_line, line));
        }
        self.pending = Pending::default();
        self.at += 1;
    }

    fn mod_item(&mut self, out: &mut Source) {
        if let Some(name) = self.ident(self.at + 1) {
            if self.is(self.at + 2, ';') {
                out.mod_files.push(ModFile {
                    scope: self.scope(),
                    name: name.to_owned(),
                    path: self.pending.path.take(),
                });
            } else if self.is(self.at + 2, '{') {
                self.pending.module = Some(name.to_owned());
            }
            self.at += 1;
        }
        self.at += 1;
    }

    fn use_item(&mut self, out: &mut Source) {
        self.at += 1;
        if self.is_sep(self.at) {
            self.at += 1;
        }
        self.use_tree(&[], out);
    }

    /// One tree of a `use`: `a::{b, c::*}`, `a::b as c`.
    fn use_tree(&mut self, prefix: &[String], out: &mut Source) {
        let mut segments = prefix.to_vec();
        let mut line = self.tokens.get(self.at).map_or(0, |t| t.line);
        loop {
            match self.kind(self.at) {
                Some(Kind::Ident(word)) => segments.push(word.clone()),
                Some(Kind::Punct('*')) => segments.push("*".to_owned()),
                Some(Kind::Punct('{')) => {
                    self.at += 1;
                    while self.at < self.tokens.len()
                        && !self.is(self.at, '}')
                        && !self.is(self.at, ';')
                    {
                        self.use_tree(&segments, out);
                        if self.is(self.at, ',') {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                _ => {
                    // Nothing that a tree can hold: leave it to the caller, but move on.
                    if !self.is(self.at, ';') && !self.is(self.at, '}') && !self.is(self.at, ',') {
                        self.at += 1;
                    }
                    return;
                }
            }
            line = self.tokens[self.at].line.max(line);
            self.at += 1;
            if !self.is_sep(self.at) {
                break;
            }
            self.at += 1;
        }
        let mut alias = segments.last().cloned();
        if alias.as_deref() == Some("self") {
            segments.pop();
            alias = segments.last().cloned();
        }
        if self.ident(self.at) == Some("as") {
            alias = self.ident(self.at + 1).map(str::to_owned);
            self.at += 2;
        }
        let (scope, in_test) = (self.scope(), self.in_test());
        out.paths.push(Path {
            segments,
            line,
            in_test,
            scope,
            alias,
        });
    }

    /// A path in code, or a macro call, or a single word.
    fn path(&mut self, out: &mut Source) {
        let start = self.at;
        let line = self.tokens[start].line;
        let mut segments = Vec::new();
        while let Some(word) = self.ident(self.at) {
            segments.push(word.to_owned());
            self.at += 1;
            if !(self.is_sep(self.at) && self.ident(self.at + 1).is_some()) {
                break;
            }
            self.at += 1;
        }
        let in_test = self.in_test();
        if self.is(self.at, '!') && !self.is(self.at + 1, '=') {
            let name = segments.last().cloned().unwrap_or_default();
            if name.starts_with("include")
                && let Some(Kind::Text(file)) = self.kind(self.at + 2)
            {
                out.included.push(file.clone());
            }
            out.macros.push((name, line, in_test));
        }
        // The tail of `<T as Trait>::name` and of `$crate::name` starts in the middle.
        let before = start.checked_sub(1).and_then(|at| self.kind(at));
        let tail = before == Some(&Kind::PathSep)
            && matches!(
                start.checked_sub(2).and_then(|at| self.kind(at)),
                Some(Kind::Ident(_) | Kind::Punct('>'))
            );
        let member = before == Some(&Kind::Punct('.'));
        if segments.len() > 1 && !tail && !member {
            let scope = self.scope();
            out.paths.push(Path {
                segments,
                line,
                in_test,
                scope,
                alias: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|&s| s.to_owned()).collect();
        let source = Source::parse(text, &module);
        source.paths.iter().map(|p| p.segments.join("::")).collect()
    }

    #[test]
    fn use_trees_are_expanded() {
        let text = "use crate::{a::b, c::{self, d as e}, f::*}; pub(crate) use ::std::io;";
        let expected = [
            "crate::a::b",
            "crate::c",
            "crate::c::d",
            "crate::f::*",
            "std::io",
        ];
        assert_eq!(paths(text, &["x"]), expected);
    }

    #[test]
    fn super_and_self_are_resolved() {
        let text = "use super::y; mod t { use super::super::z; fn f() { self::g::h(); } }";
        let expected = ["crate::a::y", "crate::a::z", "crate::a::b::t::g::h"];
        assert_eq!(paths(text, &["a", "b"]), expected);
    }

    #[test]
    fn names_are_followed_through_use() {
        let text = "use std::thread;\nfn f() { thread::spawn(g); }\n\
                    mod tests {\n use crate::base::thread;\n fn f() { thread::spawn(g); }\n}";
        let expected = [
            "std::thread",
            "std::thread::spawn",
            "crate::base::thread",
            "crate::base::thread::spawn",
        ];
        assert_eq!(paths(text, &["x"]), expected);
    }

    #[test]
    fn tails_and_members_are_no_paths() {
        let text = "fn f() { <T as Q>::a::b(); x.y::<Z>(); Vec::<u8>::new(); ::p::q(); }";
        assert_eq!(paths(text, &[]), ["p::q"]);
    }

    #[test]
    fn test_code_is_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c::d(); }\n}\n\
                    #[cfg(not(test))]\nfn e() { f::g(); }\n#[test]\nfn h() {}\n";
        let source = Source::parse(text, &[]);
        assert_eq!(source.test_lines, [(2, 5), (8, 9)]);
        let flags: Vec<bool> = source.paths.iter().map(|p| p.in_test).collect();
        assert_eq!(flags, [true, false]);
    }

    #[test]
    fn modules_macros_and_includes_are_listed() {
        let text = "mod a;\n#[path = \"x/y.rs\"] mod b; mod c { mod d; }\n\
                    const S: &str = include_str!(\"s.txt\"); fn f() { dbg!(1); if a != b {} }";
        let source = Source::parse(text, &[]);
        let files: Vec<_> = source
            .mod_files
            .iter()
            .map(|m| (&*m.name, m.path.as_deref()))
            .collect();
        assert_eq!(files, [("a", None), ("b", Some("x/y.rs")), ("d", None)]);
        assert_eq!(source.mod_files[2].scope, ["c"]);
        assert_eq!(source.included, ["s.txt"]);
        let macros: Vec<&str> = source.macros.iter().map(|m| &*m.0).collect();
        assert_eq!(macros, ["include_str", "dbg"]);
    }
}
