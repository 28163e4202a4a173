//! Taking money and giving it back: each change is one transaction, with the answer that its key gets from then on.
//!
//! Invariants: the bank's reply, the stage after it and the books are committed together. An answer is remembered
//! unless it says that the request was wrong or the store unavailable: then nothing happened. The processor is a
//! function of ours, so it is asked inside the transaction; a remote one would be asked between two.

use seam_sdk::store::{Transaction, transaction};
use seam_sdk::{clock, random};

use crate::domain::card::{Accepted, Typed};
use crate::domain::ledger::{self, Refund};
use crate::domain::processor::Reply;
use crate::domain::stages::{Action, Verdict, verdict};
use crate::domain::{Answer, Stage, check, keys, token};
use crate::store::{self, Found, NewPayment};
use crate::wit::{Error, Payment, Sale};

pub fn check_card(card: &Typed) -> Result<(), Error> {
    card.check(clock::now()).map_err(Error::Card)?;
    Ok(())
}

/// The token of a card that was typed well.
pub fn keep_card(card: &Typed) -> Result<String, Error> {
    let now = clock::now();
    Ok(token::of(&card.check(now).map_err(Error::Card)?, random::bytes(), now))
}

pub fn authorise(key: &str, sale: &Sale, card: &Typed) -> Result<Payment, Error> {
    check::key(key)?;
    check::sale(sale)?;
    let now = clock::now();
    let answer = once(key, &keys::authorise(sale, card), now, |tx| {
        // Only here: a card that has expired since the first time gets the answer of the first time.
        hold(tx, sale, &card.check(now).map_err(Error::Card)?, now)
    });
    payment(&sale.order, answer)
}

pub fn authorise_kept(key: &str, sale: &Sale, token: &str) -> Result<Payment, Error> {
    check::key(key)?;
    check::sale(sale)?;
    token::check(token)?;
    let now = clock::now();
    let answer = once(key, &keys::authorise_kept(sale, token), now, |tx| {
        let card = token::card(token, now)?;
        if !store::use_token(tx, token, &sale.order)? {
            return Err(Error::Refused(format!("order {}: the token was used for another order", sale.order)));
        }
        hold(tx, sale, &card, now)
    });
    payment(&sale.order, answer)
}

/// Asks the processor, and writes down what it says.
fn hold(tx: &Transaction, sale: &Sale, card: &Accepted, now: u64) -> Answer {
    let found = store::find(tx, &sale.order)?;
    let Some(stage) = next_stage(&sale.order, found.as_ref(), Action::Authorise(card.reply))? else {
        return Ok(None);
    };
    let payment = NewPayment::new(sale, &card.last_four, stage, now)?;
    match found {
        None => store::add(tx, [payment])?,
        Some(_) => store::replace_declined(tx, payment)?,
    }
    match card.reply {
        Reply::Approved => after(tx, &sale.order),
        Reply::Declined(why) => Err(Error::Declined(why.into())),
        Reply::Silence => Err(Error::Unanswered),
    }
}

pub fn void(key: &str, order: &str) -> Result<(), Error> {
    check::key(key)?;
    check::order(order)?;
    let now = clock::now();
    once(key, &keys::void(order), now, |tx| {
        match next_stage(order, store::find(tx, order)?.as_ref(), Action::Void)? {
            None => {}
            Some(Stage::Marked) => store::mark(tx, order, now)?,
            Some(_) => store::void(tx, order, now)?,
        }
        Ok(None)
    })?;
    Ok(())
}

pub fn capture(key: &str, order: &str) -> Result<Payment, Error> {
    check::key(key)?;
    check::order(order)?;
    let now = clock::now();
    let answer = once(key, &keys::capture(order), now, |tx| {
        let found = store::find(tx, order)?;
        next_stage(order, found.as_ref(), Action::Capture)?;
        let Some(Found { payment, sale, .. }) = found else { return Ok(None) };
        let invoice = store::capture(tx, order, now)?;
        store::book(tx, &[ledger::invoice(&sale, invoice, now), ledger::payment(&sale, &payment.card, now)])?;
        after(tx, order)
    });
    payment(order, answer)
}

/// `by` is the account that gives the money back, if it is known.
pub fn refund(key: &str, order: &str, amount: u64, reason: &str, by: Option<&str>) -> Result<Payment, Error> {
    check::key(key)?;
    check::order(order)?;
    check::refund(amount, reason)?;
    by.map_or(Ok(()), check::giver)?;
    let now = clock::now();
    let answer = once(key, &keys::refund(order, amount, reason, by), now, |tx| {
        let found = store::find(tx, order)?;
        next_stage(order, found.as_ref(), Action::Refund)?;
        let Some(Found { payment, sale, .. }) = found else { return Ok(None) };
        let left = payment.authorised.minor_units - payment.refunded;
        if amount > left {
            return Err(Error::Refused(format!("order {order}: that is more than is left to give back")));
        }
        store::refund(tx, order, amount)?;
        let Sale { customer, currency, .. } = &sale;
        store::book(tx, &Refund { order, customer, currency, card: &payment.card, amount, reason, at: now }.entries())?;
        if let Some(by) = by {
            store::given_by(tx, order, by)?;
        }
        after(tx, order)
    });
    payment(order, answer)
}

pub fn payments(orders: &[String]) -> Result<Vec<Payment>, Error> {
    check::orders(orders)?;
    Ok(store::payments(orders)?)
}

/// Does `work` in a transaction and remembers its answer under `key`; the same request again gets that answer.
fn once(key: &str, fingerprint: &str, now: u64, work: impl FnOnce(&Transaction) -> Answer) -> Answer {
    transaction(|tx| {
        match store::answered(tx, key)? {
            Some((first, answer)) if first == fingerprint => return Ok(answer),
            Some(_) => return Err(Error::Invalid("key: it was used with other arguments".into())),
            None => {}
        }
        let answer = work(tx);
        if let Err(error @ (Error::Card(_) | Error::Invalid(_) | Error::Unavailable(_))) = answer {
            return Err(error);
        }
        store::remember(tx, key, fingerprint, &answer, now)?;
        Ok(answer)
    })?
}

/// The stage that the order's payment goes to; none: it is there already.
fn next_stage(order: &str, found: Option<&Found>, action: Action) -> Result<Option<Stage>, Error> {
    match verdict(found.map(|found| found.stage), action) {
        Verdict::Goes(stage) => Ok(Some(stage)),
        Verdict::Stays => Ok(None),
        Verdict::NoPayment => Err(Error::UnknownOrder(order.into())),
        Verdict::Refused(why) => Err(Error::Refused(format!("order {order}: {why}"))),
    }
}

/// The payment as this transaction leaves it.
fn after(tx: &Transaction, order: &str) -> Answer {
    Ok(store::find(tx, order)?.map(|found| found.payment))
}

fn payment(order: &str, answer: Answer) -> Result<Payment, Error> {
    answer?.ok_or_else(|| Error::UnknownOrder(order.into()))
}
