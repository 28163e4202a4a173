//! The operator's side of the shop, below `/office`. Only accounts that `customer` calls operators get in; to others it does not exist.

use crate::form::Form;
use crate::pages::{Customer, Problem, signed_in};
use crate::reply::Reply;
use crate::seams::Seams;
use crate::visit::Visit;

/// A page of the office; `path` is what comes after `/office`.
pub fn read(path: &str, _query: Option<&str>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let _operator = operator(path, visit, seams)?;
    Err(Problem::NotFound)
}

/// What a form of the office wants done. The form's token has been checked.
pub fn write(path: &str, _form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let _operator = operator(path, visit, seams)?;
    Err(Problem::NotFound)
}

/// Who works here.
fn operator<'a>(path: &str, visit: &Visit<'a>, seams: &impl Seams) -> Result<Customer<'a>, Problem> {
    let next = if crate::href::is_local(path) { format!("/office{path}") } else { "/office".into() };
    let customer = signed_in(visit, &next, seams)?;
    if customer.account.operator { Ok(customer) } else { Err(Problem::NotFound) }
}
