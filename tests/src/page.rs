//! A page in a browser without scripts: its words, and its forms with all their fields.

use anyhow::{Context, Result, anyhow, ensure};
use scraper::{ElementRef, Html, Selector};

/// An answer that is to be read by a person.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it came from after following, with its query.
    pub path: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

/// A form, filled as the page fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub action: String,
    pub post: bool,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub value: String,
    /// As a person would find it: not `hidden`.
    pub shown: bool,
}

impl Page {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The words of its main part, with single blanks.
    pub fn words(&self) -> String {
        let html = Html::parse_document(&self.text);
        words_of(find(&html, "main").first().copied().unwrap_or(html.root_element()))
    }

    /// Whether its main part says this.
    pub fn says(&self, words: &str) -> bool {
        self.words().contains(words)
    }

    /// Fails with what the page says instead.
    pub fn must_say(&self, words: &str) -> Result<()> {
        ensure!(self.says(words), "`{}` ({}) does not say `{words}` but: {}", self.path, self.status, self.words());
        Ok(())
    }

    /// Fails with what the page says when it has another status.
    pub fn must_be(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "`{}` is {}, not {status}: {}", self.path, self.status, self.words());
        Ok(self)
    }

    /// The words of every element that `css` selects.
    pub fn all(&self, css: &str) -> Vec<String> {
        find(&Html::parse_document(&self.text), css).into_iter().map(words_of).collect()
    }

    /// The attribute of every element that `css` selects and that has it.
    pub fn attributes(&self, css: &str, name: &str) -> Vec<String> {
        let html = Html::parse_document(&self.text);
        find(&html, css).into_iter().filter_map(|element| element.attr(name).map(str::to_owned)).collect()
    }

    /// The form that is sent to `action`.
    pub fn form(&self, action: &str) -> Result<Form> {
        let found = self.forms().into_iter().find(|form| form.action == action);
        found.with_context(|| format!("`{}` ({}) has no form for `{action}`: {}", self.path, self.status, self.words()))
    }

    pub fn forms(&self) -> Vec<Form> {
        let html = Html::parse_document(&self.text);
        find(&html, "form").into_iter().map(|form| Form::of(form, &html)).collect()
    }

    /// What input has injected into the page: scripts, handlers, frames, links to other sites.
    pub fn injected(&self) -> Vec<String> {
        let html = Html::parse_document(&self.text);
        let mut wrong = Vec::new();
        for element in find(&html, "*") {
            let name = element.value().name();
            let own = |attribute| element.attr(attribute).is_some_and(|at| at.starts_with("/assets/"));
            let good = match name {
                "script" => own("src") && element.inner_html().is_empty(),
                "link" => element.attr("rel") != Some("stylesheet") || own("href"),
                "iframe" | "object" | "embed" | "base" | "style" => false,
                _ => true,
            };
            let leads = |name: &str| matches!(name, "href" | "src" | "action" | "formaction");
            let acts = |(name, value): &(&str, &str)| {
                name.starts_with("on") || (leads(name) && value.trim().starts_with("javascript:"))
            };
            if !good || element.value().attrs().any(|attribute| acts(&attribute)) {
                wrong.push(element.html().chars().take(200).collect());
            }
        }
        wrong
    }
}

impl Form {
    fn of(form: ElementRef<'_>, html: &Html) -> Form {
        let id = form.attr("id").unwrap_or_default();
        let inside = |element: &ElementRef<'_>| match element.attr("form") {
            Some(other) => other == id,
            None => element.ancestors().any(|node| node.id() == form.id()),
        };
        let fields = find(html, "input, select, textarea").into_iter().filter(inside).filter_map(field).collect();
        Form {
            action: form.attr("action").unwrap_or_default().to_owned(),
            post: form.attr("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
            fields,
        }
    }

    /// Types into a field that the form has.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self> {
        let field = self.fields.iter_mut().find(|field| field.name == name);
        let field = field.ok_or_else(|| anyhow!("the form for `{}` has no field `{name}`", self.action))?;
        value.clone_into(&mut field.value);
        Ok(self)
    }

    pub fn typed(self, values: &[(&str, &str)]) -> Result<Self> {
        values.iter().try_fold(self, |form, (name, value)| form.with(name, value))
    }

    /// Sets a field whether the form has it or not, as in a request written by hand.
    pub fn forced(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|field| field.name != name);
        self.fields.push(Field { name: name.into(), value: value.into(), shown: false });
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|field| field.name != name);
        self
    }

    pub fn value(&self, name: &str) -> Result<&str> {
        let field = self.fields.iter().find(|field| field.name == name);
        Ok(&field.with_context(|| format!("the form for `{}` has no field `{name}`", self.action))?.value)
    }

    /// As it is sent: `application/x-www-form-urlencoded`.
    pub fn encoded(&self) -> String {
        let pair = |field: &Field| format!("{}={}", encode(&field.name), encode(&field.value));
        self.fields.iter().map(pair).collect::<Vec<_>>().join("&")
    }
}

/// Percent-encodes everything but letters and digits: more than a browser does, with the same meaning.
pub fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// What an element adds to its form; a button adds nothing unless it is pressed, a box nothing unless it is ticked.
fn field(element: ElementRef<'_>) -> Option<Field> {
    let name = element.attr("name")?.to_owned();
    let kind = element.attr("type").unwrap_or_default();
    let value = match (element.value().name(), kind) {
        (_, "submit" | "button" | "image" | "reset") => return None,
        (_, "checkbox" | "radio") => {
            element.attr("checked")?;
            element.attr("value").unwrap_or("on").to_owned()
        }
        ("select", _) => {
            let options: Vec<ElementRef<'_>> =
                element.child_elements().filter(|o| o.value().name() == "option").collect();
            let chosen = options.iter().find(|option| option.attr("selected").is_some()).or(options.first())?;
            chosen.attr("value").map_or_else(|| words_of(*chosen), str::to_owned)
        }
        // The first line end is the markup's.
        ("textarea", _) => {
            let text: String = element.text().collect();
            text.strip_prefix('\n').map_or(text.clone(), str::to_owned)
        }
        _ => element.attr("value").unwrap_or_default().to_owned(),
    };
    Some(Field { name, value, shown: kind != "hidden" })
}

fn find<'a>(html: &'a Html, css: &str) -> Vec<ElementRef<'a>> {
    Selector::parse(css).map(|selector| html.select(&selector).collect()).unwrap_or_default()
}

fn words_of(element: ElementRef<'_>) -> String {
    element.text().flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "/".into(), status: 200, headers: Vec::new(), text: text.into() }
    }

    #[test]
    fn a_form_is_sent_as_a_browser_would_send_it() {
        let page = page(
            "<main><form id=f method=post action=/go><input type=hidden name=a value='1&amp;2'><input name=b>
             <input type=checkbox name=c value=yes><input type=checkbox name=d checked>
             <select name=e><option value=''>Choose<option value=x selected>X</select>
             <select name=g><option>GBP</select><textarea name=h>\nx</textarea><button name=i value=1>Go</button></form>
             <input name=far form=f value=2><input name=stray></main>",
        );
        let form = page.form("/go").unwrap_or_else(|error| panic!("{error}"));
        assert!(form.post);
        assert_eq!(form.encoded(), "a=1%262&b=&d=on&e=x&g=GBP&h=x&far=2");
        assert!(page.form("/other").is_err() && form.clone().with("z", "").is_err());
        assert_eq!(form.without("a").forced("b", "ü").encoded(), "d=on&e=x&g=GBP&h=x&far=2&b=%C3%BC");
    }

    #[test]
    fn what_was_put_into_a_page_is_found() {
        for good in ["<p>&lt;script&gt;</p>", "<script src=/assets/shop.js defer></script>", "<a href=/x>x</a>"] {
            assert!(page(good).injected().is_empty(), "{good}");
        }
        for bad in [
            "<script>x</script>",
            "<script src=//evil></script>",
            "<img src=x onerror=x>",
            "<a href=' javascript:x'>x</a>",
            "<iframe></iframe>",
            "<link rel=stylesheet href=//evil>",
        ] {
            assert!(!page(bad).injected().is_empty(), "{bad}");
        }
    }
}
