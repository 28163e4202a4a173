//! Manifests with contexts that have copies behind a broker.

use seam_store::ids::ContextName;

use super::*;

const HOSTS: &str = "[hosts.shop]\naddress = \"10.0.0.5:7443\"\n[hosts.web]\naddress = \"10.0.0.6:7443\"\n\
                     copies = [\"front\"]\n[placement]\ndefault = \"shop\"\n";
const FRONT: &str = "[context.front]\nat = \"nats://Broker.example:4222\"\ncomponent = \"component.wasm\"\n\
                     [context.front.variant.js]\ncomponent = \"js.wasm\"\n";
const STOCK: &str = "[context.stock]\ncomponent = \"component.wasm\"\n";

fn parsed(text: &str) -> Manifest {
    Manifest::parse(text, &folder().path().join("seam.toml")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn name(name: &str) -> ContextName {
    ContextName::new(name).unwrap()
}

#[test]
fn a_copy_is_on_each_host_that_lists_it_and_elsewhere_the_context_is_behind_the_broker() {
    let whole = parsed(&format!("{HOSTS}{FRONT}{STOCK}"));
    let placement = &whole.placement;
    assert_eq!(placement.broker.as_ref().unwrap().address, "broker.example:4222");
    let js = name("front").with_variant("js").unwrap();
    for context in [&name("front"), &js] {
        assert!(placement.is_copied(context) && placement.host_of(context).is_none());
        assert_eq!(placement.home_name(context), Some("broker"));
        let hosts: Vec<_> = placement.hosts_of_copies(context).map(|host| host.name.as_str()).collect();
        assert_eq!(hosts, ["web"]);
    }
    let at = |host: &str| -> Vec<Option<String>> {
        whole.on(host).unwrap().contexts.iter().map(|context| context.settings.at.clone()).collect()
    };
    let some = |home: &str| Some(home.to_owned());
    assert_eq!(at("shop"), [some("broker"), None, some("broker")], "front, stock, front@js");
    assert_eq!(at("web"), [None, some("shop"), None]);
    assert_eq!(placement.idle().count(), 0, "a host with copies alone is of use");
    assert!(whole.together().contexts.iter().all(|context| context.settings.at.is_none()));
}

#[test]
fn one_more_host_with_a_copy_changes_nothing_that_hosts_agree_on_but_another_broker_does() {
    let of = |text: &str| parsed(text).placement.digest();
    let text = format!("{HOSTS}{FRONT}{STOCK}");
    let more = text.replace("[hosts.shop]\n", "[hosts.shop]\ncopies = [\"front\"]\n");
    assert_eq!(of(&more), of(&text));
    assert_ne!(of(&text.replace("4222", "4223")), of(&text));
    let one = text.replace("copies = [\"front\"]\n", "").replace("at = \"nats://Broker.example:4222\"\n", "");
    assert_ne!(of(&one), of(&text));
    assert!(!parsed(&more).placement.is_same(&parsed(&text).placement));
}

#[test]
fn what_cannot_have_copies_is_refused_with_its_place_and_a_way_out() {
    let front = |lines: &str| format!("{HOSTS}[context.front]\ncomponent = \"component.wasm\"\n{lines}");
    const AT: &str = "at = \"nats://b:4222\"\n";
    let one_host = "let `front` live on one host: `at = \"NAME\"` in [context.front]";
    let orders = |keep: &str| {
        format!(
            "[context.orders]\ncomponent = \"component.wasm\"\nstore = true\npublishes.\"a:b/events@0.1.0\" = {{{keep}}}\n"
        )
    };
    let learns = format!("{AT}store = true\nsubscribes.\"a:b/events\" = {{}}\n");
    assert_eq!(problems(&front(&format!("{learns}{}", orders(" keep = \"forever\" ")))), "");
    let cases: [(String, String); 13] = [
        (
            front(&format!("{AT}store = true\n")),
            format!(
                "seam.toml:11:1: error: `front` has a store, which one host alone can write, and copies\n  hint: {one_host}; \
                 or remove `store`; or let it learn all that its file holds from events, which it subscribes to"
            ),
        ),
        (
            front(&format!("{learns}{}", orders(""))),
            "seam.toml:12:12: error: `front` has copies, which learn from `a:b/events`, and `orders` forgets old events of \
             it\n  hint: add `keep = \"forever\"` to `publishes.\"a:b/events@0.1.0\"` of [context.orders]"
                .to_owned(),
        ),
        (
            front(&format!("{AT}store = true\npublishes.\"a:b/events@0.1.0\" = {{}}\nsubscribes.\"c:d/e\" = {{}}\n")),
            format!(
                "seam.toml:12:11: error: `front` has copies, and publishes `a:b/events@0.1.0` from a file of its own\n  \
                 hint: {one_host}"
            ),
        ),
        (
            front(&format!("{AT}[[schedule]]\ncontext = \"front\"\ncall = \"a.b\"\nevery_s = 60\n")),
            format!(
                "seam.toml:11:1: error: `front` has copies, and each of them would be called by time\n  hint: {one_host}"
            ),
        ),
        (
            front(AT).replace("copies = [\"front\"]\n", ""),
            "seam.toml:9:6: error: `front` is behind a broker, and no host runs a copy of it\n  hint: add \
             `copies = [\"front\"]` to the hosts that are to run it"
                .to_owned(),
        ),
        (
            front(""),
            "seam.toml:5:11: error: `front` lives on host `shop`: host `web` cannot have a copy\n  hint: write \
             `at = \"nats://HOST:PORT\"` in [context.front], or take it out here"
                .to_owned(),
        ),
        (
            front(AT).replace("[\"front\"]", "[\"front\", \"frnt\"]"),
            "seam.toml:5:20: error: there is no context `frnt`\n  hint: did you mean `front`?".to_owned(),
        ),
        (
            front(AT).replace("[\"front\"]", "[\"front\", \"front\"]"),
            "seam.toml:5:20: error: `front` is listed twice\n  hint: list it once".to_owned(),
        ),
        (
            front("at = \"nats://me:secret@b:4222\"\n"),
            "seam.toml:10:6: error: `context.front.at` is `nats://me:secret@b:4222`, which does not say where the broker \
             is\n  hint: write no user and no password: a host shows its certificate to the broker"
                .to_owned(),
        ),
        (
            front("at = \"tls://b\"\n"),
            "seam.toml:10:6: error: `context.front.at` is `tls://b`, which does not say where the broker is\n  hint: write \
             host and port: `tls://broker.example:4222`"
                .to_owned(),
        ),
        (
            front(AT).replace("[hosts.shop]", "[hosts.broker]").replace("= \"shop\"", "= \"broker\""),
            "seam.toml:1:8: error: a host is called `broker`, which is the name of the broker in its certificate\n  hint: \
             give the host another name"
                .to_owned(),
        ),
        (
            format!(
                "{}[context.more]\ncomponent = \"component.wasm\"\nat = \"nats://c:4222\"\n",
                front(AT).replace("[\"front\"]", "[\"front\", \"more\"]")
            ),
            "seam.toml:13:6: error: `more` is behind the broker c:4222, and others are behind b:4222\n  hint: let a system \
             have one broker; several servers of it may have one name"
                .to_owned(),
        ),
        (
            format!("[context.front]\ncomponent = \"component.wasm\"\n{AT}"),
            "seam.toml:3:6: error: `front` is behind a broker, and there are no hosts\n  hint: add `[hosts.NAME]` with \
             `copies = [\"front\"]`"
                .to_owned(),
        ),
    ];
    let wrong = cases.iter().filter(|(text, expect)| problems(text) != *expect);
    let wrong: Vec<String> = wrong.map(|(text, expect)| format!("{text}\n{}\nnot {expect}", problems(text))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n--- and ---\n"));
}
