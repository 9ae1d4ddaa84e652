//! What is asked of the other end to know a tree, and how much of it there is
//! to send.

use super::*;

/// A zfs(8) that lists these datasets, and these once more with snapshots and
/// bookmarks.
fn lists(datasets: &str, again: &str) -> String {
    format!(
        "case \"$*\" in
         *name,ivsetguid*) printf 'tank/a/secret@x\\t7\\n'; case \"$*\" in *gone*)
            echo \"cannot open 'tank/a/gone': dataset does not exist\" >&2; exit 1;; esac ;;
         *'-t filesystem,volume -o'*) printf '{datasets}' ;;
         *'written,referenced'*) for n in 1 2 3; do
            printf \"tank/a@$n\\t1$n\\t${{n}}000\\t${{n}}5000\\n\"; done ;;
         *'-t filesystem,volume,snapshot,bookmark -o name,guid,createtxg'*) printf '{again}' ;;
         esac"
    )
}

const A: &str = "tank/a\\tfilesystem\\t1\\t5\\t-\\t-\\t-\\t-\\t9\\t-\\t4096\\n";

#[test]
fn a_tree_takes_one_command() {
    let child = "tank/a/b\\tvolume\\t3\\t7\\t-\\t-\\t-\\t-\\t9\\t-\\t0\\n";
    let script = lists(
        &format!("{A}{child}"),
        "tank/a\\t1\\t5\\ntank/a@x\\t2\\t6\\ntank/a/b\\t3\\t7\\n",
    );
    let (stock, calls) = stock(&script);
    let tree = stock.tree(&name("tank/a")).unwrap();
    assert_eq!(tree.datasets.len(), 2);
    assert_eq!(tree.datasets[0].snapshots.len(), 1);
    assert_eq!(calls.commands(), 1);
    let [datasets, points] = &calls.calls()[..] else {
        panic!("{:?}", calls.calls());
    };
    assert!(datasets.ends_with("creation,ivsetguid,written tank/a"));
    // Nothing for which zfs(8) would have to ask for each snapshot.
    let expected =
        "list -Hp -r -t filesystem,volume,snapshot,bookmark -o name,guid,createtxg tank/a";
    assert_eq!(points, expected);
}

#[test]
fn which_pool_it_is_is_asked_with_the_tree() {
    let again = "tank/a\\t1\\t5\\ntank/a@x\\t2\\t6\\n";
    let pool = "case \"$*\" in *'-o guid tank') echo 4711 ;; *'-o guid odd') echo odd ;;
        *guid\\ vault) echo \"cannot open 'vault': no such pool\" >&2; exit 1 ;; esac; ";
    let (stock, calls) = stock(&format!("{pool}{}", lists(A, again)));
    let stock = stock.with_pool();
    let tree = stock.tree(&name("tank/a")).unwrap();
    assert_eq!(tree.datasets[0].snapshots.len(), 1);
    assert_eq!(stock.pool_guid(&name("tank/b")).unwrap(), Some(Guid(4711)));
    assert_eq!(calls.commands(), 1);
    // Of another one it is asked by itself, and nothing else is taken for it.
    assert_eq!(stock.pool_guid(&name("vault/a")).unwrap(), None);
    assert!(stock.pool_guid(&name("odd")).is_err());
    assert_eq!(calls.commands(), 3);
}

#[test]
fn times_are_asked_for_where_they_are_wanted() {
    let (stock, calls) = stock(&lists(A, "tank/a\\t1\\t5\\t9\\ntank/a@x\\t2\\t6\\t1000\\n"));
    let tree = stock.with_times().tree(&name("tank/a")).unwrap();
    assert!(tree.datasets[0].snapshots[0].creation.is_some());
    assert!(calls.calls()[1].ends_with("-o name,guid,createtxg,creation tank/a"));
}

#[test]
fn where_something_is_encrypted_another_command_tells_the_iv_sets() {
    let encrypted = |name: &str, guid: u8| {
        format!(
            "tank/a/{name}\\tfilesystem\\t{guid}\\t5\\t-\\ttank/a/{name}\\tavailable\\t-\\t9\\t-\\t0\\n"
        )
    };
    let secret = encrypted("secret", 2);
    let points =
        "tank/a\\t1\\t5\\ntank/a@x\\t2\\t6\\ntank/a/secret\\t2\\t5\\ntank/a/secret@x\\t3\\t6\\n";
    let gone = "tank/a/gone\\t4\\t5\\ntank/a/gone@x\\t5\\t6\\n";
    for (gone, again) in [("", ""), (&*encrypted("gone", 4), gone)] {
        let script = lists(&format!("{A}{secret}{gone}"), &format!("{points}{again}"));
        let (stock, calls) = stock(&script);
        let tree = stock.tree(&name("tank/a")).unwrap();
        let ivsets = tree.datasets.iter().map(|own| own.snapshots[0].ivset);
        let expected = [None, Some(Guid(7)), None];
        assert_eq!(ivsets.collect::<Vec<_>>(), expected[..tree.datasets.len()]);
        assert_eq!(calls.commands(), 2);
        // Of what is not encrypted nothing more is asked.
        let last = &calls.calls()[2];
        let command = "list -Hp -r -t snapshot,bookmark -o name,ivsetguid tank/a/secret";
        assert!(last.starts_with(command), "{last}");
    }
}

#[test]
fn a_tree_in_which_something_is_renamed_while_it_is_listed_is_listed_again() {
    let renamed = "tank/a\\t1\\t5\\ntank/a/new\\t2\\t5\\ntank/a/new@x\\t3\\t6\\n";
    let old = "tank/a/old\\tfilesystem\\t2\\t5\\t-\\t-\\t-\\t-\\t9\\t-\\t0\\n";
    let first = format!("{A}{old}");
    let (always, calls) = stock(&lists(&first, renamed));
    let error = always.tree(&name("tank/a")).unwrap_err();
    assert!(matches!(error, Error::Listing { .. }), "{error}");
    assert_eq!(calls.commands(), 3);
    let whole = renamed.replace("new", "old");
    let (once, calls) = stock(&format!(
        "if [ ! -e \"$0.first\" ]; then case \"$*\" in *snapshot,bookmark*)
            touch \"$0.first\"; printf '{renamed}'; exit 0;; esac; fi
         {}",
        lists(&first, &whole)
    ));
    let tree = once.tree(&name("tank/a")).unwrap();
    assert_eq!(tree.datasets[1].snapshots.len(), 1);
    assert_eq!(calls.commands(), 2);
}

#[test]
fn a_tree_that_is_not_there_takes_two_and_says_what_is_above() {
    let (stock, calls) = stock(
        "case \"$*\" in
         *'-r '*) echo \"cannot open 'tank/a/b': dataset does not exist\" >&2; exit 1 ;;
         *) printf 'tank\\tfilesystem\\t1\\t5\\t-\\ttank\\tunavailable\\t-\\t9\\t-\\n'
            echo \"cannot open 'tank/a': dataset does not exist\" >&2; exit 1 ;;
         esac",
    );
    let tree = stock.tree(&name("tank/a/b")).unwrap();
    assert!(tree.datasets.is_empty());
    assert_eq!(tree.above.unwrap().name, "tank");
    assert_eq!(calls.commands(), 2);
    assert!(
        calls.calls()[1].ends_with("tank/a tank"),
        "{:?}",
        calls.calls()
    );
}

#[test]
fn garbage_and_other_failures_are_errors() {
    let (garbage, _) = stock("echo 'Welcome to far!'");
    let error = garbage.tree(&name("tank/a")).unwrap_err();
    assert!(matches!(error, Error::Listing { .. }), "{error}");
    let (nothing, _) = stock("true");
    assert!(matches!(
        nothing.tree(&name("tank/a")),
        Err(Error::Listing { .. })
    ));
    let (broken, _) = stock("echo 'internal error: out of memory' >&2; exit 1");
    let error = broken.tree(&name("tank/a")).unwrap_err().to_string();
    assert!(
        error.contains("far") && error.contains("out of memory"),
        "{error}"
    );
}

#[test]
fn a_child_that_went_away_meanwhile_does_not_make_the_tree_a_missing_one() {
    let (stock, calls) = stock(
        "printf 'tank/a\\tfilesystem\\t1\\t5\\t-\\t-\\t-\\t-\\t9\\t-\\n'
         echo \"cannot open 'tank/a/b': dataset does not exist\" >&2; exit 1",
    );
    let error = stock.tree(&name("tank/a")).unwrap_err().to_string();
    assert!(
        error.contains("'tank/a/b': dataset does not exist"),
        "{error}"
    );
    assert_eq!(calls.calls().len(), 1);
}

#[test]
fn how_much_there_is_to_send_is_asked_once_and_only_where_somebody_wants_to_know() {
    let points = "tank/a\\t1\\t5\\ntank/a@1\\t1\\t11\\ntank/a@2\\t2\\t12\\ntank/a@3\\t3\\t13\\n";
    let (stock, calls) = stock(&lists(A, points));
    stock.tree(&name("tank/a")).unwrap();
    assert_eq!(calls.commands(), 1);
    let snapshot = |number: u64| Base::Snapshot {
        name: format!("tank/a@{number}").parse().unwrap(),
        guid: Guid(number),
    };
    let estimates = |base: Option<Base>, snapshots| -> Vec<_> {
        let streams = range(base, snapshots);
        let streams = streams.streams();
        streams
            .map(|stream| stock.estimate(&stream).unwrap())
            .collect()
    };
    assert_eq!(
        estimates(Some(snapshot(1)), 2..=3),
        [Some(2000), Some(3000)]
    );
    assert_eq!(estimates(Some(snapshot(1)), 3..=3), [Some(5000)]);
    assert_eq!(estimates(None, 2..=3), [Some(25000), Some(3000)]);
    assert_eq!(estimates(None, 4..=4), [None], "it was not listed");
    assert_eq!(calls.commands(), 2);
    // Another listing, another answer.
    stock.tree(&name("tank/a")).unwrap();
    assert_eq!(estimates(None, 2..=2), [Some(25000)]);
    assert_eq!(calls.commands(), 4);
}
