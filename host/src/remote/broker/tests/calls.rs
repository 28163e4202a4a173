//! Calls through the broker: they reach a copy, whichever copies come and go, and also when the broker does.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_reaches_one_copy_as_it_was_sent_and_its_outcome_comes_back() {
    let pki = Pki::new();
    let _server = pki.serve(|text| text);
    let shop = pki.shop().await;
    let copy = pki.copy_of("web1", "web1", SYSTEM);
    until_one(&shop).await;
    copy.engine.heads.lock().clear();
    let sent = head("length", Duration::from_secs(5));
    let answer = in_time(shop.carry(sent.clone(), Bytes::from(vec![7; 100_000]))).await.unwrap();
    assert_eq!(&answer[..], b"100000");
    let (got, arguments) = copy.engine.heads.lock().pop().unwrap();
    assert_eq!(Head { remaining: sent.remaining, ..got.clone() }, sent);
    assert!(got.remaining <= sent.remaining && arguments.iter().all(|byte| *byte == 7));
    let failure = call(&shop, "trap").await.unwrap_err();
    assert_eq!(format!("{failure:?}"), "Trapped { context: \"engine\", reason: \"unreachable\" }");
    // What the broker does not carry is an error, and not a wait for nothing.
    let large = in_time(shop.carry(head("length", TIMEOUT), vec![0; 9 << 20].into())).await;
    assert!(reason(large).contains("do not accept the call"));
    assert!(reason(call(&shop, "much").await).contains("do not accept the call"));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_share_the_calls_and_come_and_go_under_load_without_a_failed_one() {
    let pki = Pki::new();
    let _server = pki.serve(|text| text);
    let shop = Arc::new(pki.shop().await);
    let failure = who(&shop).await.unwrap_err().to_string();
    assert!(failure.contains("no host runs a copy of it now"), "{failure}");

    let mut one = pki.copy_of("web1", "web1", SYSTEM);
    until_one(&shop).await;
    let stop = Arc::new(AtomicBool::new(false));
    let caller = |_| {
        let (shop, stop) = (shop.clone(), stop.clone());
        tokio::spawn(async move {
            let mut answered = 0;
            while !stop.load(SeqCst) {
                who(&shop).await.unwrap();
                answered += 1;
            }
            answered
        })
    };
    let callers: Vec<_> = (0..32).map(caller).collect();
    let mut performed = 0;
    for host in ["web2", "web1", "web2", "web1", "web2", "web1"] {
        let next = pki.copy_of(host, host, SYSTEM);
        in_time(next.engine.entered.notified()).await;
        performed += std::mem::replace(&mut one, next).leave().await;
    }
    stop.store(true, SeqCst);
    let mut answered = 0;
    for caller in callers {
        answered += in_time(caller).await.unwrap();
    }
    performed += one.leave().await;
    assert!(answered > 500, "{answered}");
    assert!(performed >= answered && performed <= answered + 100, "each was performed once: {performed} of {answered}");
    assert!(who(&shop).await.unwrap_err().to_string().contains("no host runs a copy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_leaves_finishes_what_runs_and_one_that_is_busy_passes_calls_on() {
    let pki = Pki::new();
    let _server = pki.serve(|text| text);
    let shop = Arc::new(pki.shop().await);
    let one = pki.copy_of("web1", "web1", SYSTEM);
    until_one(&shop).await;
    let held = tokio::spawn({
        let shop = shop.clone();
        async move { call(&shop, "hold").await }
    });
    until_called(&one, "hold").await;
    let two = pki.copy_of("web2", "web2", SYSTEM);
    until_both(&shop).await;
    let engine = one.engine.clone();
    // One of two says that it has no place: the other one gets the call.
    engine.busy.store(true, SeqCst);
    for _ in 0..20 {
        let answer = call(&shop, "overload").await;
        assert!(answer.is_ok() || matches!(answer, Err(Failure::Overloaded { .. })));
    }
    let leaving = tokio::spawn(one.leave());
    in_time(async { while who(&shop).await.unwrap() != "web2" || !only(&shop, "web2").await {} }).await;
    assert!(!leaving.is_finished() && !held.is_finished());
    engine.release.store(true, SeqCst);
    assert_eq!(in_time(held).await.unwrap().unwrap(), Bytes::from_static(b"held"));
    in_time(leaving).await.unwrap();
    two.leave().await;
}

/// Whether this copy answers many calls in a row.
async fn only(broker: &Broker, host: &str) -> bool {
    for _ in 0..30 {
        if who(broker).await.unwrap() != host {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_or_out_of_time_ends_at_its_copy() {
    let pki = Pki::new();
    let _server = pki.serve(|text| text);
    let shop = Arc::new(pki.shop().await);
    let copy = pki.copy_of("web1", "web1", SYSTEM);
    until_one(&shop).await;
    let given_up = tokio::spawn({
        let shop = shop.clone();
        async move { call(&shop, "wait").await }
    });
    until_called(&copy, "wait").await;
    given_up.abort();
    in_time(copy.engine.cancelled.notified()).await;
    let late = in_time(shop.carry(head("wait", Duration::from_millis(50)), Bytes::new())).await;
    assert!(matches!(late, Err(Failure::TimedOut { .. })), "{late:?}");
    in_time(copy.engine.cancelled.notified()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_gone_fails_calls_at_once_and_is_used_again_when_it_is_back() {
    let pki = Pki::new();
    let mut server = pki.serve(|text| text);
    let (shop, registry) = pki.client("shop");
    let (one, two) = (pki.copy_of("web1", "web1", SYSTEM), pki.copy_of("web2", "web2", SYSTEM));
    in_time(shop.until_up()).await;
    until_both(&shop).await;
    let metrics = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let is_up = |up: u8| metrics().contains(&format!("seam_remote_up{{peer=\"broker\"}} {up}"));
    assert!(is_up(1));
    let shop = Arc::new(shop);
    let running = tokio::spawn({
        let shop = shop.clone();
        async move { call(&shop, "hold").await }
    });
    let is_held = |copy: &Copy| copy.engine.heads.lock().last().is_some_and(|(head, _)| head.function == "hold");
    let held = async {
        while !is_held(&one) && !is_held(&two) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time(held).await;
    server.kill().unwrap();
    let lost = reason(in_time(running).await.unwrap());
    assert!(lost.contains("the connection to the broker was lost"), "{lost}");
    for copy in [&one, &two] {
        copy.engine.release.store(true, SeqCst);
    }
    let gone = async {
        while !is_up(0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time(gone).await;
    let started = Instant::now();
    let failure = who(&shop).await.unwrap_err().to_string();
    assert!(failure.contains("broker") && started.elapsed() < TIMEOUT, "{failure}");
    assert!(shop.is_down(&context("engine")));
    server.start_again(tests()).unwrap();
    until_both(&shop).await;
    assert!(is_up(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificates_are_taken_up_without_a_failed_call() {
    let pki = Pki::new();
    let _server = pki.serve(|text| text);
    let shop = pki.shop().await;
    let copy = pki.copy_of("web1", "web1", SYSTEM);
    until_one(&shop).await;
    pki.certificate("web1", &["engine"]);
    pki.certificate("shop", &["storefront"]);
    let before = (shop.line(), copy.broker.line());
    in_time(async {
        while Arc::ptr_eq(&before.0, &shop.line()) || Arc::ptr_eq(&before.1, &copy.broker.line()) {
            who(&shop).await.unwrap();
        }
    })
    .await;
    for _ in 0..100 {
        who(&shop).await.unwrap();
    }
    copy.leave().await;
}
