use std::collections::BTreeMap;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// A journal that is ours: its socket, in a folder that goes with it.
struct Journal {
    socket: UnixDatagram,
    folder: PathBuf,
}

impl Journal {
    fn new(name: &str) -> Journal {
        let folder = std::env::temp_dir().join(format!("sluice-journal-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = UnixDatagram::bind(folder.join("socket")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Journal { socket, folder }
    }

    fn saying(&self, say: impl FnOnce()) {
        let lines = Lines::start("journal", Socket::new(self.folder.join("socket")).unwrap()).unwrap();
        let subscriber = tracing_subscriber::registry().with(Entries(lines.clone()));
        tracing::subscriber::with_default(subscriber, say);
        lines.flush();
        assert_eq!(lines.lost().get(), 0);
    }

    /// The next entry, as the journal reads it.
    fn next(&self) -> BTreeMap<String, String> {
        let mut room = vec![0; 1 << 16];
        let length = self.socket.recv(&mut room).expect("an entry");
        let mut left = &room[..length];
        let mut fields = BTreeMap::new();
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = left.split_at(end);
            let line = std::str::from_utf8(line).unwrap();
            let (name, value, rest) = match line.split_once('=') {
                Some((name, value)) => (name, value.as_bytes(), &rest[1..]),
                None => {
                    let (length, rest) = rest[1..].split_at(8);
                    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                    assert_eq!(rest[length], b'\n', "{line}");
                    (line, &rest[..length], &rest[length + 1..])
                }
            };
            fields.insert(name.to_owned(), String::from_utf8(value.to_vec()).unwrap());
            left = rest;
        }
        assert!(left.is_empty(), "{left:?}");
        fields
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn what_an_entry_is_about_is_in_fields_of_its_own_and_in_its_sentence() {
    let journal = Journal::new("fields");
    journal.saying(|| {
        tracing::warn!(target: "sluice::source", stream = "gate", retry_in = ?Duration::from_secs(2), "it is away");
        let remote = "192.0.2.1:5004";
        tracing::debug!(session = "ab12cd34", %remote, reason = "left", count = 7, "a viewer is gone");
    });
    let first = journal.next();
    for (name, value) in [
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "sluice"),
        ("SLUICE_PART", "sluice::source"),
        ("SLUICE_STREAM", "gate"),
        ("SLUICE_RETRY_IN", "2s"),
        ("MESSAGE", "it is away stream=\"gate\" retry_in=2s"),
    ] {
        assert_eq!(first.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(first["CODE_FILE"].ends_with("journal_tests.rs") && first["CODE_LINE"].parse::<u32>().is_ok());
    let second = journal.next();
    let told = ["PRIORITY", "SLUICE_SESSION", "SLUICE_REMOTE", "SLUICE_REASON", "SLUICE_COUNT"];
    assert_eq!(told.map(|name| &*second[name]), ["7", "ab12cd34", "192.0.2.1:5004", "left", "7"]);
}

#[test]
fn no_text_of_a_stranger_makes_a_field_or_takes_the_room_of_others() {
    let journal = Journal::new("strangers");
    let hostile = "x\nPRIORITY=0\nMESSAGE=all is well";
    let long = "ü".repeat(2 * LINE_MAX);
    journal.saying(|| {
        tracing::info!(agent = hostile, "{hostile}");
        tracing::info!(a = long, b = long, stream = "gate", "{long}");
    });
    let first = journal.next();
    assert_eq!((&*first["PRIORITY"], &*first["SLUICE_AGENT"]), ("6", hostile));
    assert!(first["MESSAGE"].starts_with(hostile), "{first:?}");
    let second = journal.next();
    assert_eq!((&*second["PRIORITY"], &*second["SLUICE_STREAM"]), ("6", "gate"));
    assert!(second["SLUICE_A"].len() <= VALUE_MAX && second["MESSAGE"].len() > LINE_MAX / 2);
    assert!(second.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>() <= LINE_MAX);
}

#[test]
fn names_are_what_the_journal_takes() {
    for (field, name) in
        [("stream", "SLUICE_STREAM"), ("retry_in", "SLUICE_RETRY_IN"), ("log.file", "SLUICE_LOG_FILE")]
    {
        assert_eq!(name_of(field), name);
    }
    assert_eq!(name_of(&"a".repeat(100)).len(), 64);
}
