//! Reads the text of a pattern for a type, with the tokens of WAVE.

use std::ops::Range;

use seam_runtime::component::wit_type;
use seam_runtime::did_you_mean;
use wasmtime::component::Val;
use wasmtime::component::types::Type;
use wasmtime::component::wasm_wave::{self, lex};

use super::{Error, Pattern};
use crate::limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Wave(lex::Token),
    /// `_`
    Any,
    /// `...`
    Rest,
    /// `$` before a label
    Dollar,
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    depth: usize,
}

pub(super) fn value(text: &str, ty: &Type) -> Result<Pattern, Error> {
    let mut parser = Parser::new(text)?;
    let pattern = parser.value(ty)?;
    parser.end()?;
    Ok(pattern)
}

pub(super) fn params(text: &str, types: &[(String, Type)]) -> Result<Vec<Pattern>, Error> {
    let mut parser = Parser::new(text)?;
    parser.expect(lex::Token::ParenOpen, "`(` before the parameters")?;
    let mut patterns = Vec::new();
    while !parser.take(Token::Wave(lex::Token::ParenClose)) {
        if parser.take(Token::Rest) {
            patterns.resize_with(types.len(), || Pattern::Any);
        } else {
            let Some((_, ty)) = types.get(patterns.len()) else {
                return Err(parser.error(format!("the function has only {} parameters", types.len())));
            };
            patterns.push(parser.value(ty)?);
        }
        parser.comma_before(lex::Token::ParenClose)?;
    }
    if let Some((name, _)) = types.get(patterns.len()) {
        parser.next = parser.next.saturating_sub(1);
        return Err(parser.error(format!("the parameter `{name}` is missing")));
    }
    parser.end()?;
    Ok(patterns)
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, Error> {
        let mut tokens: Vec<(Token, Range<usize>)> = Vec::new();
        let mut dots = 0..0;
        for (token, span) in lex::Lexer::new(text).spanned() {
            let token = match (token, text.get(span.clone()).unwrap_or_default()) {
                (Ok(token), _) => Token::Wave(token),
                (Err(_), "_") => Token::Any,
                (Err(_), "$") => Token::Dollar,
                (Err(_), dot) if dot.bytes().all(|byte| byte == b'.') => {
                    dots = if dots.end == span.start && !dots.is_empty() { dots.start..span.end } else { span };
                    if dots.len() == 3 {
                        tokens.push((Token::Rest, dots.clone()));
                    }
                    continue;
                }
                (Err(_), other) => return Err(Error { message: format!("unexpected `{other}`"), at: span }),
            };
            tokens.push((token, span));
        }
        Ok(Self { text, tokens, next: 0, depth: 0 })
    }

    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.next).map(|(token, _)| *token)
    }

    fn take(&mut self, token: Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    /// The place of the next token.
    fn at(&self) -> Range<usize> {
        self.tokens.get(self.next).map_or(self.text.len()..self.text.len(), |(_, span)| span.clone())
    }

    fn slice(&self) -> &'t str {
        self.text.get(self.at()).unwrap_or_default()
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error { message: message.into(), at: self.at() }
    }

    fn wanted(&self, what: &str) -> Error {
        let found = self.slice();
        self.error(match found {
            "" => format!("expected {what}, found the end"),
            found => format!("expected {what}, found `{found}`"),
        })
    }

    fn expect(&mut self, token: lex::Token, what: &str) -> Result<(), Error> {
        if self.take(Token::Wave(token)) { Ok(()) } else { Err(self.wanted(what)) }
    }

    fn end(&self) -> Result<(), Error> {
        if self.next < self.tokens.len() { Err(self.wanted("the end")) } else { Ok(()) }
    }

    /// A comma, unless what closes the sequence comes next.
    fn comma_before(&mut self, close: lex::Token) -> Result<(), Error> {
        match self.peek() {
            Some(Token::Wave(token)) if token == close => Ok(()),
            _ => self.expect(lex::Token::Comma, "a comma or the closing bracket"),
        }
    }

    fn label(&mut self, what: &str) -> Result<&'t str, Error> {
        let label = self.slice();
        self.expect(lex::Token::LabelOrKeyword, what)?;
        Ok(label.strip_prefix('%').unwrap_or(label))
    }

    fn value(&mut self, ty: &Type) -> Result<Pattern, Error> {
        if self.take(Token::Any) {
            return Ok(Pattern::Any);
        }
        if self.take(Token::Dollar) {
            return Ok(Pattern::Bind(self.label("a name after `$`")?.to_owned()));
        }
        self.depth += 1;
        if self.depth > limits::SEAM_TYPE_DEPTH_MAX {
            return Err(self.error("the value is nested too deeply"));
        }
        let pattern = self.structure(ty);
        self.depth -= 1;
        pattern
    }

    fn structure(&mut self, ty: &Type) -> Result<Pattern, Error> {
        use lex::Token as T;
        match ty {
            Type::List(list) => self.list(&list.ty(), ty),
            Type::Tuple(tuple) => {
                self.expect(T::ParenOpen, &format!("a {}", wit_type(ty)))?;
                let mut all = Vec::new();
                for ty in tuple.types() {
                    all.push(self.value(&ty)?);
                    self.comma_before(T::ParenClose)?;
                }
                self.expect(T::ParenClose, "`)`")?;
                Ok(Pattern::Tuple(all))
            }
            Type::Record(record) => self.record(record, ty),
            Type::Variant(variant) => {
                let at = self.at();
                let name = self.label(&format!("one of {}", wit_type(ty)))?;
                let Some(case) = variant.cases().find(|case| case.name == name) else {
                    return Err(unknown("case", name, variant.cases().map(|case| case.name), at));
                };
                Ok(Pattern::Variant(name.to_owned(), self.payload(name, case.ty)?))
            }
            Type::Enum(names) => {
                let at = self.at();
                let name = self.label(&format!("one of {}", wit_type(ty)))?;
                match names.names().any(|known| known == name) {
                    true => Ok(Pattern::Exact(Val::Enum(name.to_owned()))),
                    false => Err(unknown("case", name, names.names(), at)),
                }
            }
            Type::Flags(flags) => {
                self.expect(T::BraceOpen, &format!("a {}", wit_type(ty)))?;
                let mut set = Vec::new();
                while !self.take(Token::Wave(T::BraceClose)) {
                    let at = self.at();
                    let name = self.label("a flag")?;
                    if !flags.names().any(|known| known == name) {
                        return Err(unknown("flag", name, flags.names(), at));
                    }
                    if set.contains(&name) {
                        return Err(Error { message: format!("the flag `{name}` appears twice"), at });
                    }
                    set.push(name);
                    self.comma_before(T::BraceClose)?;
                }
                // In the type's order, as the values are.
                let set = flags.names().filter(|name| set.contains(name)).map(str::to_owned);
                Ok(Pattern::Exact(Val::Flags(set.collect())))
            }
            Type::Option(option) => match self.slice() {
                "some" => {
                    self.next += 1;
                    Ok(Pattern::Option(self.payload("some", Some(option.ty()))?))
                }
                "none" => {
                    self.next += 1;
                    Ok(Pattern::Option(None))
                }
                // WAVE lets `some` be left out.
                _ => Ok(Pattern::Option(Some(Box::new(self.value(&option.ty())?)))),
            },
            Type::Result(result) => match self.slice() {
                "ok" => {
                    self.next += 1;
                    Ok(Pattern::Result(Ok(self.payload("ok", result.ok())?)))
                }
                "err" => {
                    self.next += 1;
                    Ok(Pattern::Result(Err(self.payload("err", result.err())?)))
                }
                _ => Err(self.wanted("`ok` or `err`")),
            },
            scalar => self.scalar(scalar),
        }
    }

    fn scalar(&mut self, ty: &Type) -> Result<Pattern, Error> {
        let at = self.at();
        let leaf = self.slice();
        if leaf.is_empty() {
            return Err(self.wanted(&format!("a {}", wit_type(ty))));
        }
        let read: Result<Val, _> = wasm_wave::from_str(ty, leaf);
        match read {
            Ok(value) => {
                self.next += 1;
                Ok(Pattern::Exact(value))
            }
            Err(_) => Err(Error { message: format!("`{leaf}` is not a valid {}", wit_type(ty)), at }),
        }
    }

    fn list(&mut self, element: &Type, ty: &Type) -> Result<Pattern, Error> {
        self.expect(lex::Token::BracketOpen, &format!("a {}", wit_type(ty)))?;
        let (mut first, mut rest, mut last) = (Vec::new(), false, Vec::new());
        while !self.take(Token::Wave(lex::Token::BracketClose)) {
            if self.peek() == Some(Token::Rest) {
                if rest {
                    return Err(self.error("a list has one `...` at most"));
                }
                self.next += 1;
                rest = true;
            } else {
                let value = self.value(element)?;
                if rest { last.push(value) } else { first.push(value) }
            }
            self.comma_before(lex::Token::BracketClose)?;
        }
        Ok(Pattern::List { first, rest, last })
    }

    fn record(&mut self, record: &wasmtime::component::types::Record, ty: &Type) -> Result<Pattern, Error> {
        use lex::Token as T;
        let start = self.at();
        self.expect(T::BraceOpen, &format!("a {}", wit_type(ty)))?;
        let (mut found, mut open): (Vec<(String, Pattern)>, bool) = (Vec::new(), false);
        // `{:}` is a record without fields.
        self.take(Token::Wave(T::Colon));
        while !self.take(Token::Wave(T::BraceClose)) {
            if self.take(Token::Rest) {
                open = true;
            } else {
                let at = self.at();
                let name = self.label("a field")?;
                let Some(field) = record.fields().find(|field| field.name == name) else {
                    return Err(unknown("field", name, record.fields().map(|field| field.name), at));
                };
                if found.iter().any(|(known, _)| known == name) {
                    return Err(Error { message: format!("the field `{name}` appears twice"), at });
                }
                self.expect(T::Colon, "`:` after the field's name")?;
                found.push((name.to_owned(), self.value(&field.ty)?));
            }
            self.comma_before(T::BraceClose)?;
        }
        let mut all = Vec::new();
        for field in record.fields() {
            let pattern = match found.iter().position(|(name, _)| name == field.name) {
                Some(at) => found.swap_remove(at).1,
                None if open => Pattern::Any,
                None if matches!(field.ty, Type::Option(_)) => Pattern::Option(None),
                None => {
                    let message = format!("the field `{}` is missing; `...` leaves fields open", field.name);
                    return Err(Error { message, at: start });
                }
            };
            all.push((field.name.to_owned(), pattern));
        }
        Ok(Pattern::Record(all))
    }

    fn payload(&mut self, case: &str, ty: Option<Type>) -> Result<Option<Box<Pattern>>, Error> {
        use lex::Token as T;
        match (self.peek() == Some(Token::Wave(T::ParenOpen)), ty) {
            (false, None) => Ok(None),
            (false, Some(ty)) => {
                Err(self
                    .error(format!("`{case}` has a value: write `{case}(..)`, a {}, or `{case}(_)`", wit_type(&ty))))
            }
            (true, None) => Err(self.error(format!("`{case}` has no value"))),
            (true, Some(ty)) => {
                self.next += 1;
                let value = self.value(&ty)?;
                self.expect(T::ParenClose, "`)`")?;
                Ok(Some(Box::new(value)))
            }
        }
    }
}

fn unknown<'k>(what: &str, name: &str, known: impl Iterator<Item = &'k str>, at: Range<usize>) -> Error {
    Error { message: format!("there is no {what} `{name}`; {}", did_you_mean::hint(name, known)), at }
}
