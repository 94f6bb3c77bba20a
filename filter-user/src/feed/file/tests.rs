use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
};

use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::*;
use crate::{claim::Change, feed::tests::rules};

/// A folder with a list that is followed, and the claims that follow from it.
struct Room {
    folder: TempDir,
    news: mpsc::Receiver<Message>,
    refresh: Arc<Notify>,
    task: JoinHandle<()>,
    claims: BTreeSet<String>,
}

impl Room {
    fn new(prepare: impl FnOnce(&Path), list: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        prepare(folder.path());
        let (sender, news) = mpsc::channel(8);
        let refresh = Arc::new(Notify::new());
        let path = folder.path().join(list);
        let task = tokio::spawn(watch(path, rules(), 3, sender, refresh.clone()));
        let claims = BTreeSet::new();
        Self {
            folder,
            news,
            refresh,
            task,
            claims,
        }
    }

    /// With a list of one address that was read.
    async fn with_one() -> Self {
        let mut room = Self::new(|folder| write(folder.join("list"), "192.0.2.1\n"), "list");
        room.says(&["192.0.2.1/32"]).await;
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn news(&mut self) -> News {
        let news = timeout(Duration::from_secs(20), self.news.recv());
        let message = news.await.expect("news in time").expect("a task");
        assert_eq!(message.feed, 3);
        message.news
    }

    /// The next news is an update, after which these are the claims.
    async fn says(&mut self, claims: &[&str]) -> Update {
        let update = match self.news().await {
            News::Update { update, .. } => update,
            other => panic!("{other:?}"),
        };
        match &update {
            Update::Snapshot(claims) => {
                self.claims = claims
                    .iter()
                    .map(|claim| claim.prefix.to_string())
                    .collect();
            }
            Update::Delta(changes) => {
                for change in changes {
                    match change {
                        Change::Claim(claim) => self.claims.insert(claim.prefix.to_string()),
                        Change::Withdraw(prefix) => self.claims.remove(&prefix.to_string()),
                    };
                }
            }
            other => panic!("no file says {other:?}"),
        }
        assert!(
            self.claims.iter().eq(claims),
            "{:?} {claims:?}",
            self.claims
        );
        update
    }

    /// Some failures later it fails like this.
    async fn fails(&mut self, part: &str) {
        loop {
            match self.news().await {
                News::Failed { error, .. } if error.contains(part) => return,
                News::Failed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn write(path: PathBuf, text: impl AsRef<[u8]>) {
    fs::write(path, text).expect("written");
}

#[tokio::test]
async fn a_rewritten_file_is_read_again() {
    let mut room = Room::with_one().await;
    write(
        room.path("list"),
        "\u{feff}# two\r\n192.0.2.2\r\n2001:db8::/32\r\n",
    );
    room.says(&["192.0.2.2/32", "2001:db8::/32"]).await;
    write(room.path("list"), "");
    room.says(&[]).await;
}

#[tokio::test]
async fn a_file_is_read_when_its_writer_has_closed_it() {
    let mut room = Room::with_one().await;
    let mut file = File::create(room.path("list")).expect("a file");
    file.write_all(b"192.0.2.2\n192.0.").expect("half of it");
    write(room.path("other"), "");
    fs::rename(room.path("other"), room.path("another")).expect("moved");
    tokio::task::yield_now().await;
    file.write_all(b"2.3\n").expect("the rest");
    drop(file);
    room.says(&["192.0.2.2/32", "192.0.2.3/32"]).await;
}

#[tokio::test]
async fn half_a_line_at_the_end_is_refused_and_told() {
    let mut room = Room::with_one().await;
    write(room.path("list"), "192.0.2.2\n192.0.");
    let News::Update { refused, .. } = room.news().await else {
        panic!("no update");
    };
    assert_eq!(refused.count, 1);
    assert!(refused.first[0].starts_with("line 2: \"192.0.\" is no address"));
}

#[tokio::test]
async fn a_file_moved_over_it_is_read() {
    let mut room = Room::with_one().await;
    write(room.path("list.new"), "192.0.2.2\n");
    fs::rename(room.path("list.new"), room.path("list")).expect("moved");
    room.says(&["192.0.2.2/32"]).await;
    write(room.path("list.new"), "192.0.2.3\n");
    fs::remove_file(room.path("list")).expect("removed");
    room.fails("isn't there").await;
    fs::hard_link(room.path("list.new"), room.path("list")).expect("linked");
    room.says(&["192.0.2.3/32"]).await;
}

#[tokio::test]
async fn a_missing_file_is_told_until_it_is_back() {
    let mut room = Room::with_one().await;
    fs::remove_file(room.path("list")).expect("removed");
    room.fails("list\" isn't there: write the list there").await;
    write(room.path("list"), "192.0.2.1\n");
    let update = room.says(&["192.0.2.1/32"]).await;
    assert_eq!(update, Update::Delta(vec![]), "well again, and nothing new");
}

#[tokio::test]
async fn a_directory_in_its_place_is_told_until_it_is_gone() {
    let mut room = Room::with_one().await;
    fs::remove_file(room.path("list")).expect("removed");
    fs::create_dir(room.path("list")).expect("a directory");
    room.fails("is no regular file but a folder: give the path of a file")
        .await;
    fs::remove_dir(room.path("list")).expect("removed");
    room.fails("isn't there").await;
    write(room.path("list"), "192.0.2.2\n");
    room.says(&["192.0.2.2/32"]).await;
}

#[tokio::test]
async fn what_is_no_list_changes_nothing() {
    let mut room = Room::with_one().await;
    write(room.path("list"), b"\x7fELF\0\0");
    room.fails("list\" is not taken: line 1 is binary").await;
    write(room.path("list"), "<html>");
    room.fails("web page").await;
    let long: String = (0..200_000u32)
        .map(|number| format!("{}\n", std::net::Ipv4Addr::from(number)))
        .collect();
    write(room.path("list"), long);
    room.fails("more than 150000 claims").await;
    write(room.path("list"), "192.0.2.1\n192.0.2.2\n");
    let update = room.says(&["192.0.2.1/32", "192.0.2.2/32"]).await;
    assert!(matches!(update, Update::Delta(changes) if changes.len() == 1));
}

#[tokio::test]
async fn claims_come_as_ndjson_too() {
    let mut room = Room::with_one().await;
    write(
        room.path("list"),
        "{\"prefix\":\"192.0.2.1\",\"verdict\":{\"limit\":\"suspect\"}}\n",
    );
    let update = room.says(&["192.0.2.1/32"]).await;
    assert!(
        matches!(update, Update::Snapshot(_)),
        "its verdict is another now"
    );
    write(room.path("list"), "192.0.2.2\n");
    room.says(&["192.0.2.2/32"]).await;
}

#[tokio::test]
async fn a_link_swapped_on_the_way_is_followed() {
    // As Kubernetes updates a volume: list -> ..data/list, ..data -> ..1 or ..2.
    let mut room = Room::new(
        |folder| {
            fs::create_dir(folder.join("..1")).expect("a directory");
            write(folder.join("..1/list"), "192.0.2.1\n");
            symlink("..1", folder.join("..data")).expect("a link");
            symlink("..data/list", folder.join("list")).expect("a link");
        },
        "list",
    );
    room.says(&["192.0.2.1/32"]).await;
    fs::create_dir(room.path("..2")).expect("a directory");
    write(room.path("..2/list"), "192.0.2.2\n");
    symlink("..2", room.path("..data.new")).expect("a link");
    fs::rename(room.path("..data.new"), room.path("..data")).expect("swapped");
    fs::remove_dir_all(room.path("..1")).expect("removed");
    room.says(&["192.0.2.2/32"]).await;
    write(room.path("..2/list"), "192.0.2.3\n");
    room.says(&["192.0.2.3/32"]).await;
    write(room.path("else"), "192.0.2.4\n");
    fs::remove_file(room.path("list")).expect("removed");
    room.fails("isn't there").await;
    symlink(room.path("else"), room.path("list")).expect("a link");
    room.says(&["192.0.2.4/32"]).await;
}

#[tokio::test]
async fn directories_on_the_way_may_come_later_and_be_replaced() {
    let mut room = Room::new(|_| {}, "lists/of/today/list");
    room.fails("isn't there").await;
    fs::create_dir_all(room.path("lists/of/today")).expect("directories");
    write(room.path("lists/of/today/list"), "192.0.2.1\n");
    room.says(&["192.0.2.1/32"]).await;
    fs::create_dir_all(room.path("other/today")).expect("directories");
    write(room.path("other/today/list"), "192.0.2.2\n");
    fs::rename(room.path("lists/of"), room.path("old")).expect("moved away");
    room.fails("isn't there").await;
    fs::rename(room.path("other"), room.path("lists/of")).expect("moved in");
    room.says(&["192.0.2.2/32"]).await;
    write(room.path("lists/of/today/list"), "192.0.2.3\n");
    room.says(&["192.0.2.3/32"]).await;
}

#[tokio::test]
async fn links_in_a_circle_are_an_error_and_no_hang() {
    let mut room = Room::new(
        |folder| symlink("list", folder.join("list")).expect("a link"),
        "list",
    );
    room.fails("can't be read").await;
    write(room.path("new"), "192.0.2.1\n");
    fs::rename(room.path("new"), room.path("list")).expect("moved");
    room.says(&["192.0.2.1/32"]).await;
}

#[tokio::test]
async fn the_same_again_is_no_news_unless_asked_for() {
    let mut room = Room::with_one().await;
    write(room.path("list"), "192.0.2.1\n");
    // Moved into place: it may be read at any moment.
    write(room.path("other"), "192.0.2.1\n192.0.2.2\n");
    fs::rename(room.path("other"), room.path("list")).expect("moved");
    room.says(&["192.0.2.1/32", "192.0.2.2/32"]).await;
    room.refresh.notify_one();
    let update = room.says(&["192.0.2.1/32", "192.0.2.2/32"]).await;
    assert!(matches!(update, Update::Snapshot(_)), "the whole of it");
}

#[tokio::test]
async fn the_task_ends_when_nobody_listens() {
    let room = Room::with_one().await;
    drop(room.news);
    let ended = timeout(Duration::from_secs(20), room.task).await;
    ended.expect("in time").expect("without a panic");
}

#[tokio::test]
async fn a_fifo_in_its_place_is_a_failure_and_no_wait() {
    let fifo = |folder: &Path| crate::store::files::tests::fifo(&folder.join("list"));
    let mut room = Room::new(fifo, "list");
    room.fails("is no regular file but a FIFO").await;
    fs::remove_file(room.path("list")).expect("removed");
    write(room.path("list"), "192.0.2.1\n");
    room.says(&["192.0.2.1/32"]).await;
    // And while it is followed.
    let other = room.folder.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fifo(&other);
    fs::rename(other.join("list"), room.path("list")).expect("in its place at once");
    room.refresh.notify_one();
    room.fails("is no regular file but a FIFO").await;
}

#[tokio::test]
async fn a_touch_that_takes_too_long_is_noticed_and_others_arent() {
    let (touches, mut touched) = watch::channel(false);
    let limit = Duration::from_millis(50);
    touch(&touches, || {});
    let quick = timeout(2 * limit, hangs(&mut touched, limit));
    assert!(quick.await.is_err(), "it rests");
    touches.send_replace(true);
    hangs(&mut touched, limit).await;
    drop(touches);
    let gone = timeout(2 * limit, hangs(&mut touched, limit));
    assert!(gone.await.is_err(), "nobody touches it any more");
}

#[test]
fn a_file_is_read_once_without_a_runtime() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("list");
    let error = read_once(&path, &rules()).expect_err("nothing is there");
    assert!(matches!(error, Error::Missing(_)));
    write(path.clone(), "192.0.2.1/24\nx\n");
    let (update, refused) = read_once(&path, &rules()).expect("a list");
    assert!(matches!(update, Update::Snapshot(claims) if claims.len() == 1));
    assert_eq!((refused.count, refused.masked), (1, 1));
}
