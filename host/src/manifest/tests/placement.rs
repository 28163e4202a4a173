//! Manifests with hosts: who lives where, and what is wrong with it.

use seam_store::ids::ContextName;

use super::*;

const HOSTS: &str = "[hosts.shop]\naddress = \"10.0.0.5:7443\"\n[hosts.books]\naddress = \"Books.example:7443\"\n\
                     bind = \"0.0.0.0:7443\"\nlisten = [\"127.0.0.1:8081\"]\ndata = \"run/books\"\n";
const CONTEXTS: &str = "[placement]\ndefault = \"shop\"\n[context.front]\ncomponent = \"component.wasm\"\n\
                        [context.finance]\nat = \"books\"\ncomponent = \"component.wasm\"\n\
                        [context.finance.variant.js]\ncomponent = \"js.wasm\"\n";

fn parsed(text: &str) -> Manifest {
    Manifest::parse(text, &folder().path().join("seam.toml")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn name(name: &str) -> ContextName {
    ContextName::new(name).unwrap()
}

#[test]
fn a_context_lives_where_its_entry_says_else_on_the_default_host_and_variants_with_it() {
    let whole = parsed(&format!("{HOSTS}{CONTEXTS}"));
    let placement = &whole.placement;
    assert_eq!(placement.names().collect::<Vec<_>>(), ["shop", "books"]);
    assert_eq!(placement.host_of(&name("front")).unwrap().name.as_str(), "shop");
    let js = name("finance").with_variant("js").unwrap();
    for context in [name("finance"), js.clone()] {
        assert_eq!(placement.host_of(&context).unwrap().name.as_str(), "books");
        assert!(placement.lives_here(&context), "no host was chosen");
    }
    assert!(whole.contexts.iter().all(|context| context.settings.at.is_none()));

    let books = whole.on("books").unwrap();
    assert_eq!(books.placement.this_host().unwrap().name.as_str(), "books");
    assert!(books.placement.lives_here(&js) && !books.placement.lives_here(&name("front")));
    let at: Vec<_> = books.contexts.iter().map(|context| context.settings.at.as_deref()).collect();
    assert_eq!(at, [Some("shop"), None, None]);
    assert_eq!(
        books.here().map(|context| context.settings.name.as_str()).collect::<Vec<_>>(),
        ["finance", "finance@js"]
    );
    assert!(books.together().contexts.iter().all(|context| context.settings.at.is_none()));
    let only = parsed("[hosts.shop]\naddress = \"10.0.0.5:7443\"\n[context.a]\ncomponent = \"component.wasm\"\n");
    assert_eq!(only.placement.host_of(&name("a")).unwrap().name.as_str(), "shop", "there is no other");
}

#[test]
fn a_host_has_its_own_addresses_and_folders_or_those_of_the_manifest() {
    let whole = parsed(&format!("[host]\nlisten = [\"127.0.0.1:9000\"]\ndata = \"kept\"\n{HOSTS}{CONTEXTS}"));
    let folder = whole.folder().to_owned();
    let [shop, books] = &whole.placement.hosts[..] else { panic!("two") };
    assert_eq!((shop.address.as_str(), books.address.as_str()), ("10.0.0.5:7443", "books.example:7443"));
    assert_eq!((shop.bind, books.bind), ("10.0.0.5:7443".parse().unwrap(), "0.0.0.0:7443".parse().unwrap()));
    assert_eq!((&shop.data, &books.data), (&folder.join("kept"), &folder.join("run/books")));
    assert_eq!(books.certificates, folder.join("run/books/certificates"));
    let listens = |host: &str| whole.on(host).unwrap().host.listen;
    assert_eq!(listens("shop"), ["127.0.0.1:9000".parse().unwrap()]);
    assert_eq!(listens("books"), ["127.0.0.1:8081".parse().unwrap()]);
    assert_eq!(whole.on("books").unwrap().host.data, folder.join("run/books"));
}

#[test]
fn a_host_that_is_not_there_or_not_said_is_an_error_that_names_those_there_are() {
    let whole = parsed(&format!("{HOSTS}{CONTEXTS}"));
    let unknown = whole.on("bokks").unwrap_err();
    assert_eq!(
        (unknown.to_string().as_str(), unknown.remedy().as_str()),
        ("there is no host `bokks`", "did you mean `books`?")
    );
    let unsaid = whole.of_no_host().unwrap_err();
    assert!(unsaid.remedy().starts_with("add `--as shop` or `--as books`; or `--together`"), "{}", unsaid.remedy());
    let plain = parsed("[context.a]\ncomponent = \"component.wasm\"\n");
    assert!(plain.on("shop").unwrap_err().to_string().contains("names no hosts"));
    assert!(plain.placement.lives_here(&name("a")) && plain.placement.host_of(&name("a")).is_none());
    assert!(plain.of_no_host().is_ok());
}

#[test]
fn the_digest_changes_with_what_all_hosts_must_agree_on_and_with_nothing_else() {
    let text = format!("{HOSTS}{CONTEXTS}imports = [\"a:b/c\", \"a:b/d\"]\n")
        .replace("[context.finance.variant.js]\ncomponent = \"js.wasm\"\n", "");
    let digest = |text: &str| parsed(text).placement.digest();
    let agreed = digest(&text);
    assert_eq!(parsed(&text).on("books").unwrap().placement.digest(), agreed);
    for (from, to) in [
        ("data = \"run/books\"", "data = \"run/other\""),
        ("127.0.0.1:8081", "127.0.0.1:8082"),
        ("0.0.0.0:7443", "0.0.0.0:7444"),
        ("\"a:b/c\", \"a:b/d\"", "\"a:b/d\", \"a:b/c\""),
        ("[context.finance]\n", "[context.finance]\nlimits = { queue = 3 }\nconfig = { a = 1 }\n"),
        ("Books.example", "books.EXAMPLE"),
    ] {
        assert!(text.contains(from));
        assert_eq!(digest(&text.replace(from, to)), agreed, "{to}");
    }
    for (from, to) in [
        ("10.0.0.5:7443", "10.0.0.6:7443"),
        ("at = \"books\"", "at = \"shop\""),
        ("default = \"shop\"", "default = \"books\""),
        ("\"a:b/c\", ", ""),
        ("[context.finance]\n", "[context.finance]\npublishes.\"a:b/events\" = {}\n"),
        ("[context.finance]\n", "[context.finance]\nsubscribes.\"a:b/events\" = {}\n"),
        ("[hosts.shop]", "[hosts.third]\naddress = \"10.0.0.9:7443\"\ndata = \"run/third\"\n[hosts.shop]"),
        ("[context.finance]", "[context.ledger]"),
    ] {
        assert!(text.contains(from));
        assert_ne!(digest(&text.replace(from, to)), agreed, "{to}");
    }
}

#[test]
fn a_host_without_contexts_is_a_warning() {
    let with = |default: &str| {
        let text = format!("{HOSTS}{CONTEXTS}").replace("default = \"shop\"", &format!("default = \"{default}\""));
        parsed(&text).warnings().into_iter().filter(|warning| warning.contains("host")).collect::<Vec<_>>()
    };
    assert_eq!(with("shop"), Vec::<String>::new());
    assert_eq!(
        with("books"),
        ["no context lives on host `shop`: write `at = \"shop\"` in the entry of one, or remove it"]
    );
}

/// Each case: hosts, contexts, and the expected output.
#[test]
fn every_mistake_about_hosts_is_reported_at_its_place_with_a_hint() {
    let a = "[context.a]\ncomponent = \"component.wasm\"\n";
    let one = "[hosts.x]\naddress = \"10.0.0.1:7443\"\n";
    let cases: &[(&str, &str)] = &[
        (
            &format!("{a}at = \"books\"\n"),
            "seam.toml:3:6: error: there is no host `books`\n  hint: add `[hosts.books]` with its `address`",
        ),
        (
            &format!(
                "{one}[hosts.books]\naddress = \"10.0.0.2:7443\"\n[placement]\ndefault = \"elsewhere\"\n{a}at = \"boks\"\n"
            ),
            "seam.toml:6:11: error: there is no host `elsewhere`\n  hint: there are: x, books\n\
             seam.toml:9:6: error: there is no host `boks`\n  hint: did you mean `books`?",
        ),
        (
            &format!("{one}[hosts.y]\naddress = \"10.0.0.2:7443\"\n{a}"),
            "seam.toml:5:10: error: `a` does not say on which host it lives\n  \
             hint: add `at = \"x\"` to [context.a], or `[placement]` with `default = \"x\"`",
        ),
        (
            &format!("{one}[hosts.x]\naddress = \"10.0.0.2:7443\"\n{a}"),
            "seam.toml:3:8: error: duplicate key\n  hint: each key and each table may appear once; merge the two\n\
             seam.toml:4:1: error: duplicate key\n  hint: each key and each table may appear once; merge the two",
        ),
        (
            &format!("{one}[hosts.Y]\naddress = \"10.0.0.2:7443\"\n{a}"),
            "seam.toml:3:8: error: `Y` is not a valid name of a host\n  hint: use lower-case words of letters and \
             digits, joined by single hyphens, at most 64 bytes: `shop`\n\
             seam.toml:5:10: error: `a` does not say on which host it lives\n  \
             hint: add `at = \"x\"` to [context.a], or `[placement]` with `default = \"x\"`",
        ),
        (
            &format!("[placement]\n{a}"),
            "seam.toml:1:2: error: `placement` says where contexts live, and there are no hosts\n  hint: add `[hosts.NAME]`",
        ),
        (
            &format!("[hosts.x]\nadress = \"10.0.0.1:7443\"\n{a}"),
            "seam.toml:1:8: error: `hosts.x.address` is missing\n  \
             hint: write where the other hosts reach it: `address = \"10.0.0.5:7443\"`\n\
             seam.toml:2:1: error: unknown key `adress` in `hosts.x`\n  hint: did you mean `address`?",
        ),
        (
            &format!("[hosts.x]\naddress = \"books.example\"\n{a}"),
            "seam.toml:2:11: error: `books.example` is not a host with a port\n  hint: add a port: `books.example:7443`",
        ),
        (
            &format!("[hosts.x]\naddress = \"https://books.example:7443\"\n{a}"),
            "seam.toml:2:11: error: `https://books.example:7443` is not a host with a port\n  \
             hint: write host and port alone, without a scheme: `books.example:7443`",
        ),
        (
            &format!("[hosts.x]\naddress = \"10.0.0.1:0\"\n{a}"),
            "seam.toml:2:11: error: `10.0.0.1:0` is not a host with a port\n  \
             hint: write `10.0.0.5:7443`, `[2001:db8::5]:7443` or `books.example:7443`",
        ),
        (
            &format!("[hosts.x]\naddress = \"books.example:7443\"\n{a}"),
            "seam.toml:2:11: error: `hosts.x.address` is a name, and does not say on which address the host listens\n  \
             hint: add `bind = \"0.0.0.0:7443\"`",
        ),
        (
            &format!("[hosts.x]\naddress = \"books.example:7443\"\nbind = \"books.example:7443\"\n{a}"),
            "seam.toml:3:8: error: `books.example:7443` is not an address to listen on\n  \
             hint: write an IP address and a port: `0.0.0.0:7443`, `[::]:7443`",
        ),
        (
            &format!(
                "{one}[hosts.y]\naddress = \"10.0.0.1:7443\"\ndata = \"run/y\"\n[placement]\ndefault = \"x\"\n{a}"
            ),
            "seam.toml:4:1: error: `10.0.0.1:7443` is the address of `x` and of `y`\n  \
             hint: give each host an address of its own",
        ),
        (
            &format!("{one}[hosts.y]\naddress = \"10.0.0.1:7444\"\n[placement]\ndefault = \"x\"\n{a}"),
            "seam.toml:3:8: error: `x` and `y` are on one machine, `10.0.0.1`, and both listen on 127.0.0.1:8080 for clients\n  \
             hint: give each a `listen` of its own; `listen = []` for one that serves no clients\n\
             seam.toml:3:8: error: `x` and `y` are on one machine, `10.0.0.1`, and both keep their files in `run`\n  \
             hint: add `data = \"run/y\"`",
        ),
        (
            &format!("[hosts.x]\naddress = \"127.0.0.1:8080\"\n{a}"),
            "seam.toml:2:1: error: `x` listens on 127.0.0.1:8080 for clients and for other hosts\n  \
             hint: choose another port for `bind`, or for `address` without it",
        ),
        (
            &format!("{one}[placement]\ndefault = \"nats://b:4222\"\n{a}"),
            "seam.toml:4:11: error: `placement.default` names a broker, which can only be where one context is\n  hint: \
             name a host of `[hosts]` here, and the broker as `at` of the context that has copies",
        ),
        (
            &format!("{one}{a}at = \"10.0.0.2:7443\"\n"),
            "seam.toml:5:6: error: `context.a.at` is `10.0.0.2:7443`, which is an address and no name of a host\n  \
             hint: add `[hosts.NAME]` with `address = \"10.0.0.2:7443\"`, and write `at = \"NAME\"`",
        ),
        (
            &format!("{one}{a}[context.a.variant.js]\ncomponent = \"js.wasm\"\nat = \"x\"\n"),
            "seam.toml:7:6: error: `context.a.variant.js.at`: a variant lives where its context lives\n  \
             hint: remove it, or write it in [context.a]",
        ),
        (
            &format!("{one}certificates = \"assets/keys\"\n{a}assets = \"assets\"\n"),
            "seam.toml:6:1: error: the assets of `a` contain the certificates of host `x`, with its private key\n  \
             hint: keep the certificates outside of every `assets` folder",
        ),
        (
            &format!("{one}data = \"component.wasm\"\n{a}"),
            "seam.toml:3:1: error: the data folder `component.wasm` is a file\n  \
             hint: name a folder in `data` of `[hosts.x]`; it need not exist yet",
        ),
    ];
    let wrong = cases.iter().filter(|(text, expect)| problems(text) != *expect);
    let wrong: Vec<String> = wrong.map(|(text, expect)| format!("{text}\n{}\nnot {expect}", problems(text))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n--- and ---\n"));
}

#[test]
fn events_and_transactions_cross_hosts() {
    let text = |at: &str| {
        format!(
            "[hosts.x]\naddress = \"10.0.0.1:7443\"\n[hosts.y]\naddress = \"10.0.0.2:7443\"\n[placement]\ndefault = \"x\"\n\
             [context.orders]\ncomponent = \"component.wasm\"\nstore = true\ntwo_phase = [\"books\"]\n\
             publishes.\"a:b/events@0.1.0\" = {{}}\n\
             [context.books]\ncomponent = \"component.wasm\"\nstore = true\n{at}subscribes.\"a:b/events\" = {{}}\n"
        )
    };
    assert_eq!([problems(&text("")), problems(&text("at = \"y\"\n"))], ["", ""]);
}
