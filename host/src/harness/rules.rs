//! The rules of a contract: what every answer of a function must satisfy, whether the context or a stub gives it.

use seam_runtime::component::InterfaceName;
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use super::check::Checker;
use super::functions::{self, Function, Functions};
use super::pattern::{Bindings, Pattern};
use super::scenario::{At, Contract, ListRule, Rule};
use crate::manifest::{Place, Problem, Problems};

/// The rules for the imports or for the exports of a component.
#[derive(Clone, Default)]
pub struct Rules(Vec<TypedRule>);

#[derive(Clone)]
struct TypedRule {
    /// `FILE:LINE`
    at: String,
    interface: InterfaceName,
    function: String,
    with: Option<Vec<Pattern>>,
    answers: Vec<Pattern>,
    list: Option<TypedListRule>,
}

/// Parameters by their position.
#[derive(Clone, Default)]
struct TypedListRule {
    at_most: Option<usize>,
    as_long_as: Option<usize>,
    key: Option<String>,
    in_order_of: Option<usize>,
    within: Option<usize>,
    without: Option<usize>,
    distinct: bool,
}

/// Whether `contract` is about this interface, by the component model's rule for versions.
pub fn is_about(contract: &Contract, interface: &InterfaceName) -> bool {
    InterfaceName::parse(&contract.interface.value)
        .is_some_and(|name| name.accepts(interface) || interface.accepts(&name))
}

impl Rules {
    /// Adds the rules of `contract` that concern `functions`. With `all`, a rule for an unknown function is an error:
    /// the component exports the interface and must have them all.
    ///
    /// # Errors
    /// The problems of the rules.
    pub fn add(&mut self, contract: &Contract, functions: &[Function], all: bool) -> Result<(), Problems> {
        let about = InterfaceName::parse(&contract.interface.value);
        let about = about.and_then(|name| name.choose(functions, |f| &f.interface)).map(|f| &f.interface);
        let own: Vec<Function> = functions.iter().filter(|f| Some(&f.interface) == about).cloned().collect();
        let functions = Functions { exports: own, ..Functions::default() };
        let mut checker = Checker::new(&functions);
        let concerned = |rule: &&Rule| all || functions::find(&functions.exports, &rule.function.value).is_ok();
        let rules: Vec<TypedRule> = contract
            .rules
            .iter()
            .filter(concerned)
            .filter_map(|rule| typed_rule(&mut checker, contract, rule))
            .collect();
        match checker.problems {
            problems if problems.is_empty() => {
                self.0.extend(rules);
                Ok(())
            }
            problems => Err(Problems::new(&contract.file, problems)),
        }
    }

    /// How this answer breaks a rule, and which.
    pub fn broken_by(&self, interface: &InterfaceName, function: &str, params: &[Val], answer: &Val) -> Option<String> {
        let rules = self.0.iter().filter(|rule| rule.interface == *interface && rule.function == function);
        rules.filter_map(|rule| rule.broken_by(params, answer).map(|what| format!("{what} ({})", rule.at))).next()
    }
}

fn typed_rule(checker: &mut Checker<'_>, contract: &Contract, rule: &Rule) -> Option<TypedRule> {
    let functions = checker.functions;
    let (_, function) = match functions::find(&functions.exports, &rule.function.value) {
        Ok(found) => found,
        Err((message, remedy)) => {
            checker.report(rule.function.place, message, remedy);
            return None;
        }
    };
    let with = match &rule.with {
        Some(text) => Some(checker.with(function, text)?),
        None => None,
    };
    let before = checker.problems.len();
    let answers = rule.answers.iter().filter_map(|text| checker.answer(function, text)).collect();
    let list = rule.list.as_ref().map(|list| typed_list_rule(checker, function, list, rule.place));
    (checker.problems.len() == before).then(|| TypedRule {
        at: format!("{}:{}", contract.file.display(), rule.place.line),
        interface: function.interface.clone(),
        function: function.name.clone(),
        with,
        answers,
        list,
    })
}

fn typed_list_rule(checker: &mut Checker<'_>, function: &Function, list: &ListRule, place: Place) -> TypedListRule {
    let mut wrong: Vec<Problem> = Vec::new();
    let mut parameter = |name: &Option<At<String>>, fits: &dyn Fn(&Type) -> bool, what: &str| {
        let name = name.as_ref()?;
        let found = function.params.iter().position(|(known, _)| *known == name.value);
        let fitting = found.filter(|at| function.params.get(*at).is_some_and(|(_, ty)| fits(ty)));
        if fitting.is_none() {
            let message = format!("`{}` has no parameter `{}` that is {what}", function.shown, name.value);
            let remedy =
                format!("the function is {}", seam_runtime::component::wit_of(&function.name, &function.signature));
            wrong.push(Problem::new(name.place, message, remedy));
        }
        fitting
    };
    let is_list = |ty: &Type| matches!(ty, Type::List(_));
    let is_number = |ty: &Type| {
        matches!(ty, Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::S8 | Type::S16 | Type::S32 | Type::S64)
    };
    let mut typed = TypedListRule {
        at_most: parameter(&list.at_most, &is_number, "a number"),
        as_long_as: parameter(&list.as_long_as, &is_list, "a list"),
        key: None,
        in_order_of: parameter(&list.in_order_of, &is_list, "a list"),
        within: parameter(&list.within, &is_list, "a list"),
        without: parameter(&list.without, &is_list, "a list"),
        distinct: list.distinct,
    };
    match (item(function), &list.key) {
        (None, _) => {
            let message = format!("`{}` returns no list in its `ok`", function.shown);
            wrong.push(Problem::new(place, message, "remove `list`"));
        }
        (Some(Type::Record(record)), Some(key)) if record.fields().any(|field| field.name == key.value) => {
            typed.key = Some(key.value.clone());
        }
        (Some(_), Some(key)) => {
            let message = format!("the items that `{}` returns have no field `{}`", function.shown, key.value);
            wrong.push(Problem::new(key.place, message, "name one of their fields, or remove `key`"));
        }
        (Some(_), None) => {}
    }
    checker.problems.append(&mut wrong);
    typed
}

/// The type of the items in `ok([..])`.
fn item(function: &Function) -> Option<Type> {
    match &function.result {
        Some(Type::Result(result)) => match result.ok() {
            Some(Type::List(list)) => Some(list.ty()),
            _ => None,
        },
        _ => None,
    }
}

impl TypedRule {
    fn broken_by(&self, params: &[Val], answer: &Val) -> Option<String> {
        let mut bound = Bindings::new();
        let fits = |with: &Vec<Pattern>| {
            with.len() == params.len() && with.iter().zip(params).all(|(p, v)| p.matches(v, &mut bound))
        };
        if !self.with.as_ref().is_none_or(fits) || is_unavailable(answer) {
            return None;
        }
        let meets = |pattern: &Pattern| pattern.matches(answer, &mut bound.clone());
        if !self.answers.is_empty() && !self.answers.iter().any(meets) {
            return Some("the contract expects another answer for these parameters".to_owned());
        }
        let (Some(list), Val::Result(Ok(Some(items)))) = (&self.list, answer) else { return None };
        let Val::List(items) = &**items else { return None };
        list.broken_by(params, items)
    }
}

impl TypedListRule {
    fn broken_by(&self, params: &[Val], items: &[Val]) -> Option<String> {
        let list = |at: Option<usize>| match params.get(at?)? {
            Val::List(items) => Some(items),
            _ => None,
        };
        let count = items.len();
        if let Some(most) = self.at_most.and_then(|at| params.get(at)).and_then(number)
            && count as u64 > most
        {
            return Some(format!("{count} items are more than the {most} asked for"));
        }
        if let Some(asked) = list(self.as_long_as)
            && asked.len() != count
        {
            return Some(format!("{count} items are not one for each of the {} asked for", asked.len()));
        }
        let keys: Vec<&Val> = items.iter().filter_map(|item| self.key_of(item)).collect();
        let shown = |val: &Val| super::pattern::pretty(val);
        if self.distinct
            && let Some((_, twice)) = keys.iter().enumerate().find(|(at, key)| keys.iter().take(*at).any(|k| k == *key))
        {
            return Some(format!("{} is in the answer twice", shown(twice)));
        }
        if let Some(asked) = list(self.within).or(list(self.in_order_of))
            && let Some(alien) = keys.iter().find(|key| !asked.contains(key))
        {
            return Some(format!("{} is in the answer and was not asked for", shown(alien)));
        }
        if let Some(asked) = list(self.in_order_of) {
            let mut left = asked.iter();
            if let Some(late) = keys.iter().find(|key| !left.any(|asked| asked == **key)) {
                return Some(format!("{} is not in the order in which it was asked for", shown(late)));
            }
        }
        if let Some(asked) = list(self.without)
            && let Some(known) = keys.iter().find(|key| asked.contains(key))
        {
            return Some(format!("{} is in the answer, though it was in the question", shown(known)));
        }
        None
    }

    fn key_of<'v>(&self, item: &'v Val) -> Option<&'v Val> {
        match (&self.key, item) {
            (None, item) => Some(item),
            (Some(key), Val::Record(fields)) => fields.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }
}

fn number(value: &Val) -> Option<u64> {
    match value {
        Val::U8(n) => Some(u64::from(*n)),
        Val::U16(n) => Some(u64::from(*n)),
        Val::U32(n) => Some(u64::from(*n)),
        Val::U64(n) => Some(*n),
        Val::S8(n) => u64::try_from(*n).ok(),
        Val::S16(n) => u64::try_from(*n).ok(),
        Val::S32(n) => u64::try_from(*n).ok(),
        Val::S64(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// `err(unavailable(_))`: any callee may be unavailable.
fn is_unavailable(answer: &Val) -> bool {
    let Val::Result(Err(Some(error))) = answer else { return false };
    matches!(&**error, Val::Variant(case, _) if case == "unavailable")
}
