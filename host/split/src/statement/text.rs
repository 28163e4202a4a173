//! The text of a statement: its tokens, its comments, and what can be seen by them alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sqlite3_parser::lexer::Scanner;
use sqlite3_parser::lexer::sql::{TokenType, Tokenizer};

use crate::name::{folded, is_same};
use crate::schema::{Schema, Table};

/// A statement, cut into tokens.
pub struct Text<'a> {
    tokens: Vec<Token<'a>>,
    /// Without their marks.
    comments: Vec<&'a str>,
}

#[derive(Debug)]
struct Token<'a> {
    /// Without quotes.
    text: Cow<'a, str>,
    kind: TokenType,
    /// In double quotes: a name, or a text where nothing has that name (<https://sqlite.org/quirks.html>, 8).
    is_quoted: bool,
}

/// A column of a table, as the schema spells them.
pub type Column = (String, String);

impl<'a> Text<'a> {
    /// Cuts a statement. What comes after a token that SQLite does not know is left out: compiling it fails anyway.
    pub fn of(sql: &'a str) -> Self {
        let (mut tokens, mut comments) = (Vec::new(), Vec::new());
        let mut scanner = Scanner::new(Tokenizer::new());
        let mut before = 0;
        while let Ok((start, Some((bytes, kind)), end)) = scanner.scan(sql.as_bytes()) {
            comments.extend(comments_in(sql.get(before..start).unwrap_or_default()));
            let is_quoted = sql.as_bytes().get(start) == Some(&b'"');
            tokens.push(Token { text: unquoted(std::str::from_utf8(bytes).unwrap_or_default()), kind, is_quoted });
            before = end;
        }
        comments.extend(comments_in(sql.get(before..).unwrap_or_default()));
        Self { tokens, comments }
    }

    /// The same for all statements that differ in their values, in white space, in comments, and in how many values a
    /// list has.
    pub fn fingerprint(&self, schema: &Schema) -> String {
        let mut words: Vec<String> = Vec::with_capacity(self.tokens.len());
        for (at, token) in self.tokens.iter().enumerate() {
            let is_value = token.is_value() || (token.is_quoted && !self.is_name_at(at, schema));
            let word = if is_value { "?".to_owned() } else { folded(&token.text) };
            // `?, ?` is as good as `?`.
            if word == "?" && matches!(&words[..], [.., value, comma] if value == "?" && comma == ",") {
                words.pop();
                continue;
            }
            words.push(word);
        }
        if words.last().is_some_and(|word| word == ";") {
            words.pop();
        }
        words.join(" ")
    }

    /// Whether the token can be nothing but a name, or is one of the schema.
    fn is_name_at(&self, at: usize, schema: &Schema) -> bool {
        let before = at.checked_sub(1).and_then(|at| self.kind(at));
        let follows = matches!(before, Some(TokenType::TK_DOT | TokenType::TK_AS));
        let leads = self.kind(at + 1) == Some(TokenType::TK_DOT);
        follows || leads || self.tokens.get(at).is_some_and(|token| schema.has_name(&token.text))
    }

    /// The first word, in capitals: `SELECT`.
    pub fn verb(&self) -> String {
        self.tokens.first().map(|token| token.text.to_ascii_uppercase()).unwrap_or_default()
    }

    /// Whether a `ROLLBACK` goes back to a savepoint, and ends no transaction.
    pub fn has_to(&self) -> bool {
        self.tokens.iter().any(|token| token.kind == TokenType::TK_TO)
    }

    /// The columns that an `INSERT` names. None: it is none, or names none and so means all.
    pub fn inserted(&self) -> Option<Vec<&str>> {
        let into = self.tokens.iter().position(|token| token.kind == TokenType::TK_INTO)?;
        let mut after = self.tokens.get(into + 1..)?.iter().skip_while(|token| token.kind != TokenType::TK_LP);
        // `INTO t SELECT ...` and `INTO t VALUES (...)` have no list: what stands before the parenthesis tells.
        let named = self.tokens.get(into + 1..)?.iter().take_while(|token| token.kind != TokenType::TK_LP);
        if named
            .clone()
            .any(|token| matches!(token.kind, TokenType::TK_VALUES | TokenType::TK_SELECT | TokenType::TK_DEFAULT))
        {
            return None;
        }
        after.next()?;
        let list = after.take_while(|token| token.kind != TokenType::TK_RP);
        Some(list.filter(|token| token.kind != TokenType::TK_COMMA).map(|token| &*token.text).collect())
    }

    /// Whether a row that is in the way is deleted: `REPLACE INTO`, `INSERT OR REPLACE`, `UPDATE OR REPLACE`.
    pub fn replaces(&self) -> bool {
        let replaces = |token: &Token<'_>| token.kind == TokenType::TK_REPLACE;
        self.tokens.first().is_some_and(replaces)
            || self
                .tokens
                .windows(2)
                .any(|pair| matches!(pair, [or, word] if or.kind == TokenType::TK_OR && replaces(word)))
    }

    /// Columns of different tables that the statement holds equal, each pair in the order of its names.
    pub fn equalities(&self, schema: &Schema) -> Vec<(Column, Column)> {
        let (names, tables) = self.tables(schema);
        let mut found = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let pair = match token.kind {
                TokenType::TK_EQ => self.before(at, &names, &tables).zip(self.after(at, &names, &tables)),
                TokenType::TK_USING => self.shared(at, &tables),
                _ => None,
            };
            if let Some((one, other)) = pair.filter(|(one, other)| one.0 != other.0) {
                found.push(if one <= other { (one, other) } else { (other, one) });
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// The tables that are named, each by the names that it has there.
    fn tables<'s>(&self, schema: &'s Schema) -> (BTreeMap<String, &'s Table>, Vec<&'s Table>) {
        let (mut names, mut tables) = (BTreeMap::new(), Vec::<&Table>::new());
        for (at, token) in self.tokens.iter().enumerate() {
            let follows_point = at.checked_sub(1).and_then(|at| self.kind(at)) == Some(TokenType::TK_DOT);
            let names_column = self.kind(at + 1) == Some(TokenType::TK_DOT);
            let Some(table) = schema.table(&token.text).filter(|_| token.is_name() && !names_column) else { continue };
            let of_column = follows_point
                && at
                    .checked_sub(2)
                    .and_then(|at| self.tokens.get(at))
                    .is_some_and(|schema| !is_same(&schema.text, "main"));
            if of_column {
                continue;
            }
            let alias = if self.kind(at + 1) == Some(TokenType::TK_AS) { at + 2 } else { at + 1 };
            names.entry(folded(&table.name)).or_insert(table);
            if let Some(alias) = self.tokens.get(alias).filter(|token| token.is_name()) {
                names.insert(folded(&alias.text), table);
            }
            if !tables.iter().any(|known| known.name == table.name) {
                tables.push(table);
            }
        }
        (names, tables)
    }

    fn kind(&self, at: usize) -> Option<TokenType> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// The column that ends before this token.
    fn before(&self, at: usize, names: &BTreeMap<String, &Table>, tables: &[&Table]) -> Option<Column> {
        let column = self.tokens.get(at.checked_sub(1)?)?;
        let qualified = at.checked_sub(2).and_then(|at| self.kind(at)) == Some(TokenType::TK_DOT);
        let table = if qualified { Some(self.tokens.get(at.checked_sub(3)?)?) } else { None };
        resolve(table, column, names, tables)
    }

    /// The column that begins after this token.
    fn after(&self, at: usize, names: &BTreeMap<String, &Table>, tables: &[&Table]) -> Option<Column> {
        let first = self.tokens.get(at + 1)?;
        if self.kind(at + 2) == Some(TokenType::TK_DOT) {
            return resolve(Some(first), self.tokens.get(at + 3)?, names, tables);
        }
        // `a = b + 1` and `a = f(b)` hold nothing equal.
        let goes_on = self.kind(at + 2).is_some_and(|kind| kind == TokenType::TK_LP);
        if goes_on { None } else { resolve(None, first, names, tables) }
    }

    /// The columns of `USING (column)`, if two tables have it.
    fn shared(&self, at: usize, tables: &[&Table]) -> Option<(Column, Column)> {
        let name = &*self.tokens.get(at + 2)?.text;
        let having: Vec<_> =
            tables.iter().filter_map(|table| Some((table.name.clone(), table.column(name)?.name.clone()))).collect();
        let [one, other] = <[Column; 2]>::try_from(having).ok()?;
        Some((one, other))
    }

    /// Who sends the statement, by a comment in it: `controller='orders',action='place'` as `orders.place`, a `caller`,
    /// a `route`, or whatever else the comment names. (sqlcommenter; query log tags of Rails)
    pub fn caller(&self) -> Option<String> {
        self.comments.iter().find_map(|comment| caller_in(comment))
    }
}

impl Token<'_> {
    fn is_value(&self) -> bool {
        matches!(
            self.kind,
            TokenType::TK_STRING
                | TokenType::TK_BLOB
                | TokenType::TK_INTEGER
                | TokenType::TK_FLOAT
                | TokenType::TK_VARIABLE
        )
    }

    fn is_name(&self) -> bool {
        self.kind == TokenType::TK_ID
    }
}

/// A name without its quotes, of any of the kinds that SQLite takes.
fn unquoted(text: &str) -> Cow<'_, str> {
    for (first, last) in [('"', '"'), ('`', '`'), ('[', ']')] {
        if let Some(inner) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) {
            let (twice, once) = (last.to_string().repeat(2), last.to_string());
            return if inner.contains(&twice) { inner.replace(&twice, &once).into() } else { inner.into() };
        }
    }
    text.into()
}

fn resolve(
    table: Option<&Token<'_>>,
    column: &Token<'_>,
    names: &BTreeMap<String, &Table>,
    tables: &[&Table],
) -> Option<Column> {
    let found = |table: &Table| Some((table.name.clone(), table.column(&column.text)?.name.clone()));
    if column.is_value() {
        return None;
    }
    match table {
        Some(table) => found(names.get(&folded(&table.text))?),
        None => {
            let having: Vec<_> = tables.iter().filter_map(|table| found(table)).collect();
            let [only] = <[Column; 1]>::try_from(having).ok()?;
            Some(only)
        }
    }
}

/// The comments in what stands between two tokens.
fn comments_in(gap: &str) -> Vec<&str> {
    let mut comments = Vec::new();
    let mut rest = gap;
    while let Some(at) = rest.find(['/', '-']) {
        let Some(comment) = rest.get(at..) else { break };
        let (inside, end) = if let Some(inside) = comment.strip_prefix("/*") {
            (inside.split("*/").next(), comment.find("*/").map_or(comment.len(), |end| end + 2))
        } else if let Some(inside) = comment.strip_prefix("--") {
            (inside.lines().next(), comment.find('\n').map_or(comment.len(), |end| end + 1))
        } else {
            (None, 1)
        };
        comments.extend(inside.map(str::trim));
        rest = comment.get(end..).unwrap_or_default();
    }
    comments
}

fn caller_in(comment: &str) -> Option<String> {
    let pairs: BTreeMap<String, String> = comment
        .split(',')
        .filter_map(|pair| pair.split_once(['=', ':']))
        .map(|(key, value)| {
            let value = value.trim().trim_matches('\'');
            (folded(key.trim()), percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
        })
        .collect();
    let named = |key: &str| pairs.get(key).filter(|value| !value.is_empty());
    if let Some(caller) = ["caller", "code.function", "route", "job"].iter().find_map(|key| named(key)) {
        return Some(caller.clone());
    }
    let controller = named("controller")?;
    Some(named("action").map_or_else(|| controller.clone(), |action| format!("{controller}.{action}")))
}
