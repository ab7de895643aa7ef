//! Registries that lie, break off, never end, or want credentials for somebody else (T30-T32 of the security rules).
//!
//! After each of them the store is as it was: `World`'s end asks `system check`.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use crate::need;
use crate::support::World;
use crate::support::registry::{Answer, Entry, Image, Request, Server, digest, gzip, tar_of};

fn small() -> (Image, Vec<u8>) {
    let tar = tar_of(&[Entry::dir("etc"), Entry::file("etc/name", b"small\n")]);
    (Image::of(&tar), tar)
}

/// Pulls from `server`; it must fail by an error of its own, quickly and in little memory. Returns the words.
#[track_caller]
fn refused(w: &World, server: &Server, words: &[&str]) -> String {
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    // 1 GiB of address space: what reads an endless answer into memory ends badly.
    let script = format!("ulimit -v 1048576; exec {} pull -q {}/x:1", program.display(), server.host);
    let output = w.tool("bash").args(["-c", &script]).run().fails_own(words);
    assert_eq!(w.c("images -q").ok(), "", "{output:#?}");
    output.stderr
}

fn serving(image: &Image, bend: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Server {
    let image = image.clone();
    Server::start(move |request| bend(request).unwrap_or_else(|| image.answer(request)))
}

#[test]
fn what_is_served_is_what_the_digests_say() {
    need!("subid", "userns");
    let w = World::new();
    let (image, tar) = small();
    // The same registry, honest: the stub itself is no reason for refusals.
    let server = serving(&image, |_| None);
    w.c("pull -q").arg(format!("{}/x:1", server.host)).ok();
    w.c("rmi -a -f").ok();

    let layer = |bytes: Vec<u8>| {
        let whole = image.clone();
        serving(&image, move |r| whole.is_layer(r).then(|| Answer::new(200, bytes.clone())))
    };
    let mut wrong = image.layer.clone();
    // The time in the gzip header: it inflates as well as before.
    wrong[4] ^= 1;
    refused(&w, &layer(wrong), &["not what the manifest says"]);
    refused(&w, &layer([image.layer.clone(), b"more".to_vec()].concat()), &["more than"]);

    let bent = |change: &dyn Fn(&mut Image)| {
        let mut bent = image.clone();
        change(&mut bent);
        serving(&bent, |_| None)
    };
    let plus = bent(&|image| image.manifest["layers"][0]["size"] = json!(image.layer.len() + 1));
    refused(&w, &plus, &["Error:"]);
    let minus = bent(&|image| image.manifest["layers"][0]["size"] = json!(image.layer.len() - 1));
    refused(&w, &minus, &["more than"]);
    for bad in ["sha256:../../../../x", "sha256:ABCDEF", "md5:00", "sha512:00", ""] {
        refused(&w, &bent(&|image| image.manifest["layers"][0]["digest"] = json!(bad)), &["Error:"]);
    }
    let other = bent(&|image| image.config = br#"{"architecture":"amd64","os":"linux"}"#.to_vec());
    refused(&w, &other, &["Error:"]);
    let both = bent(&|image| image.manifest["manifests"] = json!([]));
    refused(&w, &both, &["Error:"]);
    let many = bent(&|image| {
        let one = image.manifest["layers"][0].clone();
        image.manifest["layers"] = json!(vec![one; 5000]);
    });
    refused(&w, &many, &["Error:"]);
    // Right digests all the way, and yet not the layer of the config.
    let foreign = Image { config: small_config(&digest(b"else")), ..image.clone() };
    let foreign = Image { manifest: with_config(&foreign), ..foreign };
    refused(&w, &serving(&foreign, |_| None), &["not what the image's config says"]);
    let garbage = Image::new([gzip(&tar), b"garbage after the end".to_vec()].concat(), &tar);
    refused(&w, &serving(&garbage, |_| None), &["Error:"]);
}

fn small_config(diff_id: &str) -> Vec<u8> {
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    serde_json::to_vec(&config).unwrap()
}

fn with_config(image: &Image) -> serde_json::Value {
    let mut manifest = image.manifest.clone();
    manifest["config"]["digest"] = json!(digest(&image.config));
    manifest["config"]["size"] = json!(image.config.len());
    manifest
}

#[test]
fn a_layer_that_breaks_off_is_gone_on_with_or_given_up() {
    need!("subid", "userns");
    let w = World::new();
    let (image, _) = small();
    let whole = image.clone();
    // Ten bytes, then the line is cut, for ever.
    let cut = serving(&image, move |r| {
        let from = |range: &str| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok();
        let have = r.header("range").and_then(from).unwrap_or(0);
        let status = if have > 0 { 206 } else { 200 };
        let end = whole.layer.len().min(10);
        whole.is_layer(r).then(|| {
            Answer::new(status, whole.layer[have.min(end)..end].to_vec()).says(whole.layer.len() - have)
        })
    });
    refused(&w, &cut, &["broke off", "Pull again"]);
    // Half of it, then the rest on request.
    let (whole, asked) = (image.clone(), AtomicU32::new(0));
    let once = serving(&image, move |r| {
        let half = whole.layer.len() / 2;
        whole.is_layer(r).then(|| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::new(200, whole.layer[..half].to_vec()).says(whole.layer.len()),
            _ => {
                assert_eq!(r.header("range"), Some(format!("bytes={half}-").as_str()));
                Answer::new(206, whole.layer[half..].to_vec())
            }
        })
    });
    w.c("pull -q").arg(format!("{}/x:1", once.host)).ok();
}

/// Manifests, tokens, error messages and blobs without an end, headers without an end, bombs.
#[test]
fn endless_answers_are_cut_off() {
    need!("subid", "userns");
    let w = World::new();
    let (image, _) = small();
    let forever = |status: u16| Answer::new(status, vec![b' '; 1 << 20]).endless(4 << 30);
    let manifest = serving(&image, move |r| r.path.contains("/manifests/").then(|| forever(200)));
    refused(&w, &manifest, &["the manifest is too large"]);
    let words = serving(&image, move |r| r.path.contains("/manifests/").then(|| forever(404)));
    refused(&w, &words, &["too large"]);
    for status in [200, 404, 500] {
        let whole = image.clone();
        let blob = serving(&image, move |r| whole.is_layer(r).then(|| forever(status)));
        refused(&w, &blob, &["Error:"]);
    }
    for status in [200, 403] {
        let token = Server::start(move |r| match r.path.starts_with("/token") {
            true => forever(status),
            false => {
                let host = r.header("host").unwrap();
                Answer::new(401, "").header(format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\""))
            }
        });
        refused(&w, &token, &["too large"]);
    }
    let header = serving(&image, |r| {
        r.path
            .contains("/manifests/")
            .then(|| Answer::new(200, "").header("X: ".to_owned() + &"x".repeat(8 << 20)))
    });
    refused(&w, &header, &["Error:"]);
    // 100 MiB of zeros in 100 KiB.
    let zeros = vec![0; 100 << 20];
    let bomb = Image::of(&tar_of(&[Entry::file("zeros", &zeros)]));
    refused(&w, &serving(&bomb, |_| None), &["decompression bomb"]);
}

#[test]
fn indexes_that_lead_nowhere_are_refused() {
    need!("subid", "userns");
    let w = World::new();
    let (image, _) = small();
    let index = |platform: &str, digest: &str| {
        serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": 1,
             "platform": {"os": "linux", "architecture": platform}}]}))
        .unwrap()
    };
    let other = index("s390x", &digest(b"x"));
    let server =
        serving(&image, move |r| r.path.contains("/manifests/").then(|| Answer::new(200, other.clone())));
    refused(&w, &server, &["nothing for linux/amd64", "linux/s390x", "--platform"]);
    // It names another document than it serves under that digest.
    let circle = index("amd64", &digest(b"x"));
    let server =
        serving(&image, move |r| r.path.contains("/manifests/").then(|| Answer::new(200, circle.clone())));
    refused(&w, &server, &["not what its digest says"]);
    assert!(server.seen().len() < 10, "{:#?}", server.seen());
}

#[test]
fn a_registry_that_never_lets_in_is_asked_a_few_times_only() {
    need!("subid", "userns");
    let w = World::new();
    let server = Server::start(|r| match r.path.starts_with("/token") {
        true => Answer::new(200, r#"{"token":"t"}"#),
        false => {
            let host = r.header("host").unwrap();
            Answer::new(401, "")
                .header(format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"s\""))
        }
    });
    refused(&w, &server, &["401"]);
    assert!(server.seen().len() < 10, "{:#?}", server.seen());
    for token in ["a\\nb: c", "", "ü"] {
        let body = format!("{{\"token\":\"{token}\"}}");
        let server = Server::start(move |r| match r.path.starts_with("/token") {
            true => Answer::new(200, body.clone()),
            false => {
                let host = r.header("host").unwrap();
                Answer::new(401, "").header(format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\""))
            }
        });
        refused(&w, &server, &["Error:"]);
    }
}

/// CVE-2020-15157 and its kind: name and password, and the token they bought, are for one host and port.
#[test]
fn credentials_stay_with_whom_they_are_for() {
    need!("subid", "userns");
    let w = World::new();
    let (image, _) = small();
    let whole = image.clone();
    // B serves everything, and would be glad of a password.
    let b = Server::start(move |r| whole.answer(r));
    for part in ["/manifests/", "/blobs/"] {
        let elsewhere = b.host.clone();
        let a = serving(&image, move |r| {
            if r.path == "/v2/" {
                return Some(Answer::new(401, "").header("WWW-Authenticate: Basic realm=\"a\""));
            }
            assert!(r.header("authorization").is_some(), "{r:?}");
            r.path
                .contains(part)
                .then(|| Answer::new(307, "").header(format!("Location: http://{elsewhere}{}", r.path)))
        });
        w.c("pull -q --creds user:secret").arg(format!("{}/x:1", a.host)).ok();
        w.c("rmi -a -f").ok();
        assert!(!b.seen().is_empty());
        assert!(b.seen().iter().all(|r| r.header("authorization").is_none()), "{:#?}", b.seen());
    }
    // A token service of somebody else's.
    for realm in ["http://169.254.169.254/token", "http://localhost.evil.example/token", "file:///etc/passwd"]
    {
        let a = Server::start(move |_| {
            Answer::new(401, "").header(format!("WWW-Authenticate: Bearer realm=\"{realm}\""))
        });
        for creds in [&["--creds", "user:secret"][..], &[]] {
            let pull = w.c("pull -q").args(creds).arg(format!("{}/x:1", a.host));
            pull.run().fails_own(&["token service that is not its own", realm]);
        }
    }
    // Layers elsewhere are not fetched.
    let mut foreign = image;
    foreign.manifest["layers"][0]["urls"] = json!([format!("http://{}/layer", b.host)]);
    let seen = b.seen().len();
    w.c("pull -q").arg(format!("{}/x:1", serving(&foreign, |_| None).host)).run();
    assert_eq!(b.seen().len(), seen);
}

#[test]
fn credential_helpers_are_asked_for_the_right_server() {
    need!("subid", "userns");
    let w = World::new();
    let (image, _) = small();
    let a = serving(&image, |r| {
        // user:from helper
        let right = r.header("authorization") == Some("Basic dXNlcjpmcm9tIGhlbHBlcg==");
        (!right).then(|| Answer::new(401, "").header("WWW-Authenticate: Basic realm=\"a\""))
    });
    let home = w.dir.join("home");
    std::fs::create_dir_all(home.join(".docker")).unwrap();
    std::fs::create_dir_all(home.join("bin")).unwrap();
    let helper = home.join("bin/docker-credential-box");
    let script = format!(
        "#!/bin/sh\nread server\necho \"$1 $server\" >>{}\n[ \"$server\" = {} ] || exit 1\n\
         echo '{{\"ServerURL\":\"x\",\"Username\":\"user\",\"Secret\":\"from helper\"}}'\n",
        home.join("asked").display(),
        a.host
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", home.join("bin").display());
    let pull = || w.c("pull -q").arg(format!("{}/x:1", a.host)).env("PATH", &path);
    for config in [json!({"credsStore": "box"}), json!({"credHelpers": {a.host.clone(): "box"}})] {
        std::fs::write(home.join(".docker/config.json"), config.to_string()).unwrap();
        pull().ok();
        w.c("rmi -a -f").ok();
    }
    let asked = std::fs::read_to_string(home.join("asked")).unwrap();
    assert!(asked.lines().any(|line| line == format!("get {}", a.host)), "{asked}");
    let config = json!({"credsStore": "../../bin/evil"});
    std::fs::write(home.join(".docker/config.json"), config.to_string()).unwrap();
    pull().run().fails_own(&["not the name of a credential helper"]);
}
