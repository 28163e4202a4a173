//! A log of statements, read line by line: which statements there are, who sends them, what each touches, and what is
//! written in one transaction.
//!
//! Each line is an object in JSON: `{"sql": "...", "caller": "orders.place", "connection": 7, "count": 1}`. All but
//! `sql` may be left out. Without a caller, a comment in the statement may name one (`text`). What stands between
//! `BEGIN` and `COMMIT` of one connection is one transaction. Lines that are not understood are counted, and the first
//! one is reported by its number.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

use super::text::Text;
use super::touch::{By, Touched};
use crate::blank::Blank;
use crate::limits;
use crate::schema::Schema;

/// A caller that no line and no comment names.
pub const UNKNOWN: &str = "?";

#[derive(Deserialize)]
struct Line {
    sql: String,
    #[serde(default)]
    caller: Option<String>,
    #[serde(default)]
    connection: Option<serde_json::Value>,
    #[serde(default)]
    count: Option<u64>,
}

/// What a log shows.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// In the order in which they come first.
    pub statements: Vec<Statement>,
    /// Those that write to tables, the most frequent first.
    pub transactions: Vec<Transaction>,
    pub lines: u64,
    pub left_out: LeftOut,
}

/// All statements that differ in their values alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub fingerprint: String,
    /// How often each caller has sent it.
    pub callers: BTreeMap<String, u64>,
    #[serde(flatten)]
    pub touched: Touched,
}

/// All transactions that have the same callers and touch the same tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction {
    pub callers: BTreeSet<String>,
    pub writes: BTreeSet<String>,
    pub reads: BTreeSet<String>,
    pub count: u64,
    pub rolled_back: u64,
}

/// What of a log says nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Lines that are no such object.
    pub lines: u64,
    /// The first of them, and why it is none.
    pub first: Option<(u64, String)>,
    /// Statements that cannot be compiled on the schema, by what SQLite says of them: syntax errors, other databases.
    pub statements: BTreeMap<String, u64>,
    /// Statements, transactions and connections that were more than a log may have.
    pub too_many: u64,
    /// Transactions that did not end.
    pub unfinished: u64,
}

type Tables = (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>);

/// A transaction that has not ended.
#[derive(Default)]
struct Open {
    callers: BTreeSet<String>,
    writes: BTreeSet<String>,
    reads: BTreeSet<String>,
    /// How many savepoints are open, if one of them started it. None: `BEGIN` did.
    savepoints: Option<u32>,
}

struct Reader<'a> {
    schema: &'a Schema,
    blank: &'a mut Blank,
    usage: Usage,
    /// Where each statement is in `usage`, or why it cannot be compiled.
    known: HashMap<String, Result<usize, String>>,
    open: HashMap<String, Open>,
    ended: BTreeMap<Tables, (u64, u64)>,
}

/// Reads a log. `progress` hears how many lines are read, now and then.
///
/// # Errors
/// When the log cannot be read.
pub fn read(
    mut log: impl BufRead,
    schema: &Schema,
    blank: &mut Blank,
    mut progress: impl FnMut(u64),
) -> io::Result<Usage> {
    let known = HashMap::new();
    let mut reader =
        Reader { schema, blank, usage: Usage::default(), known, open: HashMap::new(), ended: BTreeMap::new() };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let taken = log.by_ref().take(limits::LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?;
        if taken == 0 {
            break;
        }
        reader.usage.lines += 1;
        if reader.usage.lines.is_multiple_of(limits::LINES_PER_REPORT) {
            progress(reader.usage.lines);
        }
        if taken == limits::LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
            reader.leave_out(format!("it has more than {} bytes", limits::LINE_BYTES_MAX));
            skip_line(&mut log)?;
            continue;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line>(&bytes) {
            Ok(line) => reader.take(line),
            // Its words have the place in the line, and no values.
            Err(error) if error.is_data() => {
                reader.leave_out("it has no text `sql`, or a field of another type".to_owned())
            }
            Err(error) => reader.leave_out(format!("it is no JSON (column {})", error.column())),
        }
    }
    Ok(reader.end())
}

fn skip_line(log: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = log.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |at| at + 1);
        log.consume(taken);
        if end.is_some() {
            return Ok(());
        }
    }
}

impl Reader<'_> {
    fn take(&mut self, line: Line) {
        let text = Text::of(&line.sql);
        let caller = line.caller.or_else(|| text.caller()).unwrap_or_else(|| UNKNOWN.to_owned());
        let connection = line.connection.map(|id| id.to_string()).unwrap_or_default();
        let verb = text.verb();
        match verb.as_str() {
            "" => {}
            "BEGIN" => self.begin(connection, None),
            "SAVEPOINT" => match self.open.get_mut(&connection) {
                Some(open) => open.savepoints = open.savepoints.map(|count| count + 1),
                None => self.begin(connection, Some(1)),
            },
            "RELEASE" => {
                let open = self.open.get_mut(&connection);
                let left = open.and_then(|open| {
                    open.savepoints = open.savepoints.map(|count| count.saturating_sub(1));
                    open.savepoints
                });
                if left == Some(0) {
                    self.finish(&connection, false);
                }
            }
            "COMMIT" | "END" => self.finish(&connection, false),
            "ROLLBACK" if text.has_to() => {}
            "ROLLBACK" => self.finish(&connection, true),
            _ => self.statement(&text, &line.sql, caller, &connection, line.count.unwrap_or(1)),
        }
    }

    fn begin(&mut self, connection: String, savepoints: Option<u32>) {
        if self.open.len() >= limits::CONNECTIONS_MAX {
            self.usage.left_out.too_many += 1;
        } else if self.open.insert(connection, Open { savepoints, ..Open::default() }).is_some() {
            self.usage.left_out.unfinished += 1;
        }
    }

    fn finish(&mut self, connection: &str, rolled_back: bool) {
        let Some(open) = self.open.remove(connection) else { return };
        if open.writes.is_empty() {
            return;
        }
        let tables = (open.callers, open.writes, open.reads);
        if self.ended.len() >= limits::TRANSACTIONS_MAX && !self.ended.contains_key(&tables) {
            self.usage.left_out.too_many += 1;
            return;
        }
        let (count, back) = self.ended.entry(tables).or_default();
        *count += 1;
        *back += u64::from(rolled_back);
    }

    fn statement(&mut self, text: &Text<'_>, sql: &str, caller: String, connection: &str, count: u64) {
        let fingerprint = text.fingerprint(self.schema);
        let at = match self.known.get(&fingerprint) {
            Some(Ok(at)) => *at,
            Some(Err(why)) => {
                *self.usage.left_out.statements.entry(why.clone()).or_default() += count;
                return;
            }
            None if self.known.len() >= limits::STATEMENTS_MAX => {
                self.usage.left_out.too_many += count;
                return;
            }
            None => {
                let at = self.usage.statements.len();
                match self.blank.touched(self.schema, sql) {
                    Ok(touched) => {
                        self.known.insert(fingerprint.clone(), Ok(at));
                        self.usage.statements.push(Statement { fingerprint, callers: BTreeMap::new(), touched });
                    }
                    Err(why) => {
                        *self.usage.left_out.statements.entry(why.clone()).or_default() += count;
                        self.known.insert(fingerprint, Err(why));
                        return;
                    }
                }
                at
            }
        };
        let Some(statement) = self.usage.statements.get_mut(at) else { return };
        *statement.callers.entry(caller.clone()).or_default() += count;
        let Some(open) = self.open.get_mut(connection) else { return };
        for touch in &statement.touched.touches {
            // What a key reads is the constraint's, and goes with it.
            if touch.act.writes() {
                open.writes.insert(touch.table.clone());
            } else if touch.by != By::ForeignKey {
                open.reads.insert(touch.table.clone());
            }
        }
        if !statement.touched.touches.is_empty() {
            open.callers.insert(caller);
        }
    }

    fn leave_out(&mut self, why: String) {
        let left_out = &mut self.usage.left_out;
        left_out.lines += 1;
        left_out.first.get_or_insert((self.usage.lines, why));
    }

    fn end(mut self) -> Usage {
        self.usage.left_out.unfinished += self.open.len() as u64;
        let ended = self.ended.into_iter().map(|((callers, writes, reads), (count, rolled_back))| Transaction {
            callers,
            writes,
            reads,
            count,
            rolled_back,
        });
        self.usage.transactions = ended.collect();
        self.usage.transactions.sort_by_key(|transaction| std::cmp::Reverse(transaction.count));
        self.usage
    }
}
