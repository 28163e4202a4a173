//! Manifests as data: what a good one means, and all problems that a bad one gets.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod copies;
mod placement;
mod schedules;

use std::path::Path;
use std::time::Duration;

use super::*;

/// The problems of `text` as the command line shows them, from a folder that has `component.wasm`, `assets/` and
/// `key.pem`.
pub(super) fn problems(text: &str) -> String {
    let folder = folder();
    match Manifest::parse(text, &folder.path().join("seam.toml")) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string().replace(&format!("{}/", folder.path().display()), ""),
    }
}

pub(super) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("component.wasm"), b"").unwrap();
    std::fs::write(folder.path().join("key.pem"), b"").unwrap();
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    folder
}

#[test]
fn shared_files_become_configuration_and_differing_versions_are_reported() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("old.toml", "version = \"1\"\ncountries = \"GB\"");
    write("new.toml", "version = \"2\"\ncountries = \"GB IE\"\ndays = 3");
    let text = "[context.a]\ncomponent = \"component.wasm\"\nconfig = { own = 1 }\nshared = { r = \"old.toml\" }\n\
                [context.b]\ncomponent = \"component.wasm\"\nshared = { r = \"new.toml\" }\n\
                [context.c]\ncomponent = \"component.wasm\"\nshared = { r = \"old.toml\" }\n";
    let manifest = Manifest::parse(text, &folder.path().join("seam.toml")).unwrap();
    let config = |at: usize| -> Vec<(&str, &str)> {
        manifest.contexts[at].settings.config.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect()
    };
    assert_eq!(config(0), [("own", "1"), ("r.countries", "GB"), ("r.version", "1")]);
    assert_eq!(config(1), [("r.countries", "GB IE"), ("r.days", "3"), ("r.version", "2")]);
    let expect = "contexts run with different versions of the shared `r`: 1 in a, c; 2 in b";
    assert_eq!(manifest.warnings(), [expect]);
    for (file, message) in [
        ("version = 1\nlist = []", "which is neither a string, a number nor a boolean"),
        ("countries = \"GB\"", "has no `version`"),
        ("version = ", "is not valid TOML"),
    ] {
        write("new.toml", file);
        let problems = Manifest::parse(text, &folder.path().join("seam.toml")).unwrap_err().to_string();
        assert!(problems.contains(message) && problems.contains("seam.toml:7:16: error: "), "{problems}");
    }
}

#[test]
fn settings_that_let_clients_in_too_far_are_warned_about() {
    let folder = folder();
    let context = "[context.a]\ncomponent = \"component.wasm\"\n";
    let warnings = |text: &str| {
        let manifest = Manifest::parse(&format!("{text}\n{context}"), &folder.path().join("seam.toml"));
        manifest.unwrap_or_else(|p| panic!("{p}")).warnings().join("\n")
    };
    assert_eq!(warnings("http.trusted_proxies = [\"10.0.0.0/8\", \"::1\"]"), "");
    assert_eq!(warnings("host.listen = [\"0.0.0.0:80\"]"), "");
    assert_eq!(warnings("host.ops = \"public\""), "", "only this machine reaches the host");
    assert_eq!(warnings("[host]\nops = \"10.0.0.5:9464\"\nlisten = [\"0.0.0.0:80\"]"), "");
    for host in ["ops = \"public\"\nlisten = [\"127.0.0.1:80\", \"[::]:80\"]", "ops = \"0.0.0.0:9464\""] {
        assert!(warnings(&format!("[host]\n{host}")).contains("can read `/metrics`"), "{host}");
    }
    let variant = "[context.b]\ncomponent = \"component.wasm\"\n[context.b.variant.c]\ncomponent = \"component.wasm\"";
    assert!(warnings(variant).contains("no `routing_key`"));
    assert_eq!(warnings(&format!("http.routing_key = [\"cookie:visitor\"]\n{variant}")), "");
    assert!(warnings("http.trusted_proxies = [\"0.0.0.0/0\"]").contains("contains every address"));
}

/// Each case: a manifest and the expected output.
#[test]
fn every_mistake_is_reported_at_its_place_with_a_hint() {
    let context = "[context.a]\ncomponent = \"component.wasm\"\n";
    let cases: &[(&str, &str)] = &[
        (
            "",
            "seam.toml: error: the manifest has no context\n  \
             hint: add `[context.NAME]` with `component = \"FILE.wasm\"`",
        ),
        (
            "[context.a]\ncomponet = \"component.wasm\"\n",
            "seam.toml:1:10: error: `context.a` has neither `component` nor `build`\n  \
             hint: add `component = \"FILE.wasm\"`, or `build = { cargo = \"PACKAGE\" }`\n\
             seam.toml:2:1: error: unknown key `componet` in `context.a`\n  hint: did you mean `component`?",
        ),
        (
            &format!("[hots]\nlisten = []\n{context}"),
            "seam.toml:1:2: error: unknown key `hots`\n  hint: did you mean `host`?",
        ),
        (
            &format!("[host]\nlisten = [\"localhost:80\", \"127.0.0.1:1\", \"127.0.0.1:1\"]\nlog = \"xml\"\n{context}"),
            "seam.toml:2:11: error: `localhost:80` is not an address to listen on\n  \
             hint: write an IP address and a port: `127.0.0.1:8080`, `[::1]:8080`\n\
             seam.toml:2:42: error: `127.0.0.1:1` is listed twice\n  hint: list each address once\n\
             seam.toml:3:7: error: `host.log` cannot be `xml`\n  hint: choose `human` or `json`",
        ),
        (
            &format!(
                "[host]\ntls = {{ certificate = \"no.pem\" }}\nlog_level = \"loud=?\"\nlog_days = 0\nlog_mb = 7\n{context}"
            ),
            "seam.toml:2:1: error: `host.tls.key` is missing\n  hint: add `key = \"tls/key.pem\"`\n\
             seam.toml:2:23: error: `host.tls.certificate` names `no.pem`, which is not a file\n  \
             hint: create it, or correct the path (relative to the manifest's folder)\n\
             seam.toml:3:13: error: `loud=?` is not a log level\n  \
             hint: choose `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,guest=debug`\n\
             seam.toml:4:12: error: `host.log_days` is 0, which is out of range\n  hint: give it a value from 1 to 366\n\
             seam.toml:5:10: error: `host.log_mb` is 7, which is out of range\n  hint: give it a value from 8 to 1048576",
        ),
        (
            &format!("[http]\ntrusted_proxies = [\"10.0.0.0/8\", \"nginx\"]\nproxy_header = \"via\"\n{context}"),
            "seam.toml:2:34: error: `nginx` is neither an IP address nor a network of them\n  \
             hint: write `127.0.0.1`, `10.0.0.0/8` or `2001:db8::/32`\n\
             seam.toml:3:16: error: `http.proxy_header` cannot be `via`\n  hint: choose `x-forwarded-for` or `forwarded`",
        ),
        (
            &format!("[host]\nops = \"127.0.0.1:80\"\nlisten = [\"127.0.0.1:80\"]\n{context}"),
            "seam.toml:2:7: error: `127.0.0.1:80` is an address of `listen` as well\n  \
             hint: name an address of its own, or write `ops = \"loopback\"`",
        ),
        (
            &format!("[host]\nops = \"private\"\n{context}"),
            "seam.toml:2:7: error: `host.ops` cannot be `private`\n  hint: choose `\"loopback\"`, `\"public\"`, \
             `false` or an address of its own, such as `\"127.0.0.1:9464\"`",
        ),
        (
            &format!("{context}[context.Shop]\ncomponent = \"component.wasm\"\n"),
            "seam.toml:3:10: error: `Shop` is not a valid context name\n  \
             hint: use lower-case words of letters and digits, \
             joined by single hyphens, at most 64 bytes: `order-desk`",
        ),
        (
            &format!(
                "{context}imports = [\"catalog\", \"a:b/c@1\", \"a:b/c\", \"a:b/c\"]\n\
                 capabilities = [\"clock\", \"files\"]\n"
            ),
            "seam.toml:3:12: error: `catalog` is not a valid interface name\n  \
             hint: write `namespace:package/interface`, with or without `@1.2.3`\n\
             seam.toml:3:23: error: `a:b/c@1` is not a valid interface name\n  \
             hint: write `namespace:package/interface`, with or without `@1.2.3`\n\
             seam.toml:3:43: error: `a:b/c` is imported twice\n  hint: list it once\n\
             seam.toml:4:17: error: `clock` is not a capability\n  \
             hint: did you mean `clocks`? known: attempts, clocks, random, wasi\n\
             seam.toml:4:26: error: `files` cannot be granted to a context\n  \
             hint: keep data in the store and settings in `config`; `wasi` gives an empty world to link against",
        ),
        (
            &format!(
                "{context}store = {{ max_mb = 0 }}\n\
                 limits = {{ queue = -1, instance_memory_mb = 100, context_memory_mb = 50 }}\n"
            ),
            "seam.toml:3:20: error: `context.a.store.max_mb` is 0, which is out of range\n  \
             hint: give it a value from 1 to 1048576\n\
             seam.toml:4:20: error: `context.a.limits.queue` is -1, which is out of range\n  \
             hint: give it a value from 0 to 10000\n\
             seam.toml:4:50: error: `context.a.limits.context_memory_mb` (50) is less \
             than `instance_memory_mb` (100)\n  \
             hint: raise `context_memory_mb` or lower `instance_memory_mb`",
        ),
        (
            &format!(
                "{context}store = {{ key_env = \"K\" }}\nassets = \"nowhere\"\n\
                 outgoing = [\"https://x.org\", \"*:80\"]\n"
            ),
            "seam.toml:3:21: error: `context.a.store` has a key but is not encrypted\n  \
             hint: add `encrypted = true`, or remove the key\n\
             seam.toml:4:10: error: `context.a.assets` names `nowhere`, which is not a folder\n  \
             hint: create the folder, or correct the path\n\
             seam.toml:5:13: error: `https://x.org` is not a host with a port\n  \
             hint: write `api.example.org:443`: one host, no scheme, no path, no *\n\
             seam.toml:5:30: error: `*:80` is not a host with a port\n  \
             hint: write `api.example.org:443`: one host, no scheme, no path, no *",
        ),
        (
            "[context.a]\nbuild = { command = \"make\", cargo = \"a\" }\n[context.b]\nbuild = { command = \"make\" }\n\
             [context.d]\nbuild = \"make\"\n",
            "seam.toml:2:1: error: `context.a.build` has both `cargo` and `command`\n  hint: keep one of the two\n\
             seam.toml:3:10: error: `context.b` has a build command but no `component`\n  \
             hint: name the file that the command writes: `component = \"FILE.wasm\"`\n\
             seam.toml:4:1: error: `context.b.build` has a command but no `sources`\n  \
             hint: list the files and folders that the component depends on: `sources = [\"src\"]`\n\
             seam.toml:6:9: error: `context.d.build` is a string, expected a table\n  hint: write `build = { .. }`",
        ),
        (
            &format!(
                "{context}[[mount]]\npath = \"/x\"\ncontext = \"b\"\n[[mount]]\npath = \"/x\"\ncontext = \"a\"\n\
                      [[mount]]\npath = \"/y/\"\ncontext = \"a\"\n[[mount]]\npath = \"/healthz\"\ncontext = \"a\"\n\
                      [[mount]]\n"
            ),
            "seam.toml:5:11: error: there is no context `b`\n  hint: did you mean `a`?\n\
             seam.toml:7:8: error: `/x` is mounted twice, for `b` and for `a`\n  \
             hint: give each mount a path of its own\n\
             seam.toml:10:8: error: `/y/` ends with a slash\n  hint: write `/y`\n\
             seam.toml:13:8: error: the host itself answers `/healthz`\n  \
             hint: choose another path, or set `ops = false` in `[host]`\n\
             seam.toml:15:1: error: `mount.path` is missing\n  hint: add `path = \"/\"`\n\
             seam.toml:15:1: error: `mount.context` is missing\n  hint: add `context = \"NAME\"`",
        ),
        (
            &format!(
                "{context}[[seed]]\ncontext = \"warehouse\"\ncall = \"put-orders\"\nfile = \"rows.json\"\n[mount]\n\
                 path = \"/\"\n"
            ),
            "seam.toml:4:11: error: there is no context `warehouse`\n  \
             hint: add `[context.warehouse]`, or name one of: a\n\
             seam.toml:5:8: error: `put-orders` does not name a function of an interface\n  \
             hint: write `interface.function`, as in `editing.put-orders`\n\
             seam.toml:6:8: error: `rows.json` is neither a `.jsonl` nor a `.csv` file\n  \
             hint: name a file that ends in `.jsonl` or `.csv`\n\
             seam.toml:7:1: error: `mount` is not a list of tables\n  hint: write `[[mount]]` with two brackets",
        ),
        (
            &format!("host.data = \"assets/run\"\n{context}assets = \"assets\"\n"),
            "seam.toml:4:1: error: the assets of `a` contain the data folder, so its databases would be served\n  \
             hint: keep the assets in a folder of their own",
        ),
        (
            &format!("host.data = \"component.wasm\"\n{context}config = {{ a = [1] }}\n"),
            "seam.toml:1:6: error: the data folder `component.wasm` is a file\n  \
             hint: name a folder in `data` of `[host]`; it need not exist yet\n\
             seam.toml:4:16: error: `context.a.config.a` is a list, expected a string\n  \
             hint: configuration values are strings; put the list or table into one as JSON",
        ),
    ];
    for (text, expect) in cases {
        assert_eq!(problems(text), *expect, "\n--- for ---\n{text}");
    }
}

#[test]
fn a_variant_keeps_its_own_keys_and_inherits_the_rest_from_its_context() {
    let folder = folder();
    std::fs::write(folder.path().join("r.toml"), "version = \"1\"\ndays = 3").unwrap();
    let text = r#"
        [context.engine]
        component = "component.wasm"
        main_variant = "rust"
        imports = ["acme:orders/desk"]
        store = true
        capabilities = ["clocks"]
        config = { size = 3 }
        shared = { r = "r.toml" }
        limits = { concurrency = 4, timeout_ms = 100 }

        [context.engine.variant.js]
        component = "js.wasm"
        build = { command = "make js.wasm", sources = ["assets"] }
        store = { max_mb = 7 }
        capabilities = ["wasi"]
        config = { size = 5 }
        limits = { concurrency = 2 }

        [context.engine.variant.plain]
        build = { cargo = "plain" }

        [context.other]
        component = "component.wasm"

        [http]
        routing_key = ["cookie:visitor", "header:X-User"]
    "#;
    let manifest = Manifest::parse(text, &folder.path().join("seam.toml")).unwrap_or_else(|p| panic!("{p}"));
    let names: Vec<_> = manifest.contexts.iter().map(|context| context.settings.name.as_str()).collect();
    assert_eq!(names, ["engine", "other", "engine@js", "engine@plain"], "variants stand behind all entries");
    assert_eq!(manifest.contexts[2].places.of("store").line, 15);
    let contexts = manifest.system().contexts;
    let [engine, other, js, plain] = &contexts[..] else { panic!("four") };
    assert_eq!([&engine.variant, &other.variant, &js.variant, &plain.variant], ["rust", "main", "js", "plain"]);
    let limits = |context: &ContextSettings| (context.limits.concurrency, context.limits.timeout.as_millis());
    assert_eq!((limits(engine), limits(js), limits(plain)), ((4, 100), (2, 100), (4, 100)));
    assert_eq!(js.store.as_ref().map(|store| store.max_mb), Some(7));
    assert_eq!(plain.store, engine.store);
    assert_eq!((&js.capabilities[..], &plain.capabilities[..]), (&["wasi".to_owned()][..], &["clocks".to_owned()][..]));
    assert_eq!(
        (&js.config["size"], &js.config["r.days"], &plain.config["size"]),
        (&"5".into(), &"3".into(), &"3".into())
    );
    assert_eq!((&js.imports, &plain.imports), (&engine.imports, &engine.imports));
    assert_eq!(plain.component, folder.path().join("target/components/plain.wasm"));
    let keys = [RoutingKey::Cookie("visitor".into()), RoutingKey::Header("x-user".into())];
    assert_eq!(manifest.http.routing_key, keys);
}

#[test]
fn mistakes_in_variants_are_reported_at_their_places() {
    let text = "[http]\nrouting_key = \"visitor\"\n\
                [context.a]\ncomponent = \"component.wasm\"\nmain_variant = \"none\"\n\
                [context.a.variant.main]\ncomponent = \"component.wasm\"\nimports = [\"a:b/c\"]\n\
                [context.a.variant.JS]\ncomponent = \"component.wasm\"\n\
                [context.a.variant.empty]\nstroe = true\n\
                [[mount]]\npath = \"/\"\ncontext = \"a@main\"\n";
    let expect = "seam.toml:2:15: error: `visitor` is not a routing key\n  hint: write `cookie:NAME` or `header:NAME`\n\
        seam.toml:5:16: error: `none` is not a valid variant name\n  hint: use lower-case words of letters and digits, \
        joined by single hyphens, at most 64 bytes: `js`; `shadow` and `none` are reserved\n\
        seam.toml:6:20: error: `main` is the name of the main variant of `a`\n  \
        hint: choose another name here, or for `main_variant` of the context\n\
        seam.toml:8:1: error: unknown key `imports` in `context.a.variant.main`\n  \
        hint: known keys: component, build, store, capabilities, outgoing, config, limits\n\
        seam.toml:9:20: error: `JS` is not a valid variant name\n  hint: use lower-case words of letters and digits, \
        joined by single hyphens, at most 64 bytes: `js`; `shadow` and `none` are reserved\n\
        seam.toml:11:20: error: `context.a.variant.empty` has neither `component` nor `build`\n  \
        hint: add `component = \"FILE.wasm\"`, or `build = { cargo = \"PACKAGE\" }`\n\
        seam.toml:12:1: error: unknown key `stroe` in `context.a.variant.empty`\n  hint: did you mean `store`?\n\
        seam.toml:15:11: error: `a@main` is not a valid context name\n  hint: write the NAME of a `[context.NAME]`";
    assert_eq!(problems(text), expect);
    let mut text = "[context.a]\ncomponent = \"component.wasm\"\n".to_owned();
    for i in 0..8 {
        text += &format!("[context.a.variant.v{i}]\ncomponent = \"component.wasm\"\n");
    }
    let expect = "seam.toml:17:20: error: `a` has 9 variants; 8 are allowed\n  hint: remove variants that are not used";
    assert_eq!(problems(&text), expect);
}

#[test]
fn syntax_errors_are_reported_with_other_problems_and_hide_their_consequences() {
    let shown = problems("[host]\nlisten = \nops = maybe\nlag = 1\n[context.a]\ncomponent = component.wasm\n");
    let lines: Vec<_> = shown.lines().filter(|line| line.contains("error:")).collect();
    let starts = [
        "seam.toml:2:10: error: ",
        "seam.toml:3:7: error: ",
        "seam.toml:4:1: error: unknown key `lag`",
        "seam.toml:6:13: ",
    ];
    assert_eq!(lines.len(), starts.len(), "{shown}");
    assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{shown}");
}

#[test]
fn columns_count_characters_not_bytes() {
    let shown = problems("[context.a]\ncomponent = \"component.wasm\"\nstore = { \"ä\" = 1, max_mb = true }\n");
    assert!(shown.contains("seam.toml:3:29: error: `context.a.store.max_mb`"), "{shown}");
}

#[test]
fn a_sealed_store_names_tables_of_its_context_each_once() {
    let with = |sealed: &str| format!("[context.a]\ncomponent = \"component.wasm\"\nstore = {{ sealed = {sealed} }}\n");
    let shown = problems(&with(r#"["entries", "seam_seals", "entries", "SQLITE_sequence", ""]"#));
    for words in [
        "seam.toml:3:32: error: `seam_seals` is no table of a context",
        "`entries` stands there twice",
        "`SQLITE_sequence` is no table of a context",
        "`context.a.store.sealed` is a string, expected strings that are not empty",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    let folder = folder();
    let manifest = Manifest::parse(&with(r#"["entries", "lines"]"#), &folder.path().join("seam.toml")).unwrap();
    let sealed = manifest.contexts[0].settings.store.as_ref().unwrap().sealed.clone().unwrap();
    assert_eq!((sealed.tables, sealed.passing), (vec!["entries".to_owned(), "lines".to_owned()], false));
}

#[test]
fn a_store_is_encrypted_by_a_boolean_or_by_the_word_of_earlier_manifests() {
    let encrypted = |value: &str| {
        let folder = folder();
        let text = format!("[context.a]\ncomponent = \"component.wasm\"\nstore = {{ encrypted = {value} }}\n");
        let manifest = Manifest::parse(&text, &folder.path().join("seam.toml")).unwrap();
        manifest.contexts[0].settings.store.as_ref().unwrap().encrypted
    };
    assert!(encrypted("true") && encrypted("\"if-possible\"") && !encrypted("false"));
}

#[test]
fn a_whole_manifest_is_read() {
    let folder = folder();
    let path = folder.path().join("seam.toml");
    let text = r#"
        [host]
        listen = ["127.0.0.1:0", "[::1]:0"]
        data = "run"
        log = "json"

        [context.front-desk]
        build = { cargo = "front" }
        imports = ["acme:orders/desk@0.1.0"]
        assets = "assets"
        config = { currency = "GBP", page-size = 24 }
        outgoing = ["API.example.org:443"]
        limits = { timeout_ms = 2_000, log_kb_per_s = 8 }

        [context.catalog]
        component = "component.wasm"
        store = true
        capabilities = ["clocks"]

        [[mount]]
        path = "/"
        context = "front-desk"

        [[seed]]
        context = "catalog"
        call = "editing.put-orders"
        file = "demo/orders.jsonl"

        [[schedule]]
        context = "catalog"
        call = "editing.tidy"
        every_s = 90
    "#;
    let manifest = Manifest::parse(text, &path).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(manifest.folder(), folder.path());
    assert_eq!(manifest.host.data, folder.path().join("run"));
    assert_eq!((manifest.host.listen.len(), manifest.host.log, manifest.host.log_days), (2, LogFormat::Json, 7));
    let places = &manifest.contexts[0].places;
    assert_eq!(places.of("acme:orders/desk@0.1.0"), Place { line: 9, column: 20 });
    assert_eq!(places.of("acme:orders/desk"), Place { line: 9, column: 20 });
    assert_eq!(places.of("store"), Place { line: 7, column: 18 });
    let contexts = manifest.system().contexts;
    let [front, catalog] = &contexts[..] else { panic!("two contexts") };
    assert_eq!(front.component, folder.path().join("target/components/front.wasm"));
    assert_eq!(front.imports, ["acme:orders/desk@0.1.0"]);
    assert_eq!(front.config["page-size"], "24");
    assert_eq!(front.outgoing, ["api.example.org:443"]);
    assert_eq!(front.limits.timeout, Duration::from_secs(2));
    assert!(front.store.is_none());
    assert_eq!(catalog.store.as_ref().map(|s| s.max_mb), Some(crate::limits::STORE_MB));
    assert_eq!(catalog.capabilities, ["clocks"]);
    assert_eq!(manifest.mounts[0].timeout, Duration::from_secs(2));
    assert_eq!(manifest.seeds[0].file, folder.path().join("demo/orders.jsonl"));
    let schedule = &manifest.schedules[0];
    let when = When::Every(Interval { every: Duration::from_secs(90), transaction: false });
    assert_eq!((schedule.context.as_str(), &*schedule.call, &schedule.when), ("catalog", "editing.tidy", &when));
}

#[test]
fn no_client_is_a_tester_unless_the_manifest_names_it() {
    let testers = |line: &str| {
        let text = format!("[http]\n{line}\n[context.a]\ncomponent = \"component.wasm\"\n");
        Manifest::parse(&text, &folder().path().join("seam.toml")).map(|manifest| manifest.http.force_variants)
    };
    let network = |text: &str| Network::parse(text).unwrap();
    assert_eq!(testers("").unwrap(), Testers::None);
    assert_eq!(testers("force_variants = false").unwrap(), Testers::None);
    assert_eq!(testers("force_variants = true").unwrap(), Testers::Everyone);
    let office = Testers::Of(vec![network("10.8.0.0/16"), network("::1")]);
    assert_eq!(testers("force_variants = [\"10.8.0.0/16\", \"::1\"]").unwrap(), office);
    assert_eq!(testers("force_variants = []").unwrap(), Testers::Of(Vec::new()));
    assert!(testers("force_variants = \"office\"").unwrap_err().to_string().contains("neither an IP address"));
    let shipped = Manifest::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../seam.toml"))).unwrap();
    assert_eq!(shipped.http.force_variants, Testers::None, "the shop that is shipped");
}

#[test]
fn a_missing_file_is_reported_as_a_problem() {
    let shown = Manifest::load(Path::new("/nonexistent/seam.toml")).unwrap_err().to_string();
    assert!(shown.starts_with("/nonexistent/seam.toml: error: cannot read the file"), "{shown}");
    assert!(shown.contains("--manifest"), "{shown}");
}
