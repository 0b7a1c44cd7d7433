//! The SQLite of Rocky Linux 8 is 3.26: every query of the pages and every view gives the same rows there as in the program's own SQLite.

use super::queries::a_day_on_the_line;
use super::recipes::recipes;
use crate::docs::pages;
use crate::helper::skipped;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection, TypeInfo, ValueRef};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program that prints rows with SQLite 3.26; `None`, said, where it cannot be made.
fn old_sqlite() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/old-sqlite");
    let made = Command::new(script).output().unwrap();
    if !made.status.success() {
        return skipped(&format!("the source of SQLite 3.26 and a C compiler: {}", String::from_utf8_lossy(&made.stderr)));
    }
    Some(String::from_utf8(made.stdout).unwrap().trim().into())
}

/// The rows of the query in SQLite 3.26, in words of `tests/fixtures/sqlite/rows.c`.
fn old_rows(program: &Path, database: &Path, query: &str) -> Result<Vec<String>, String> {
    let mut child =
        Command::new(program).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(query.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

/// The same in the SQLite of the program.
async fn own_rows(connection: &mut SqliteConnection, query: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(connection).await.unwrap_or_else(|error| panic!("{query}\n{error}"));
    rows.iter().map(in_words).collect()
}

fn in_words(row: &SqliteRow) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let value = |column: usize| {
        let raw = row.try_get_raw(column).unwrap();
        if raw.is_null() {
            return "n".to_owned();
        }
        match raw.type_info().name() {
            "INTEGER" => format!("i{}", row.get_unchecked::<i64, _>(column)),
            "REAL" => format!("r{:016x}", row.get_unchecked::<f64, _>(column).to_bits()),
            "TEXT" => format!("t{}", hex(row.get_unchecked::<String, _>(column).as_bytes())),
            "BLOB" => format!("b{}", hex(&row.get_unchecked::<Vec<u8>, _>(column))),
            other => panic!("a value of the type {other}"),
        }
    };
    (0..row.len()).map(value).collect::<Vec<_>>().join(" ")
}

/// Later versions of SQLite add up in another way, so the last bits of a sum may differ.
fn is_same(old: &str, own: &str) -> bool {
    let number = |word: &str| u64::from_str_radix(word.strip_prefix('r')?, 16).ok().map(f64::from_bits);
    let near = |(old, own): (&str, &str)| match (number(old), number(own)) {
        (Some(old), Some(own)) => (old - own).abs() <= 1e-12 * old.abs().max(own.abs()),
        _ => old == own,
    };
    old.split(' ').count() == own.split(' ').count() && old.split(' ').zip(own.split(' ')).all(near)
}

#[tokio::test]
async fn every_query_of_the_pages_and_every_view_gives_the_same_rows_in_sqlite_3_26() {
    let Some(program) = old_sqlite() else { return };
    let line = a_day_on_the_line().await;
    let file = line.file();
    let mut connection = SqliteConnectOptions::new().filename(&file).read_only(true).connect().await.unwrap();
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(names.len() >= 10 && names.contains(&"defect_history".to_owned()), "{names:?}");
    let mut queries: Vec<(String, String)> = names.iter().map(|name| (name.clone(), format!("SELECT * FROM {name}"))).collect();
    for page in pages() {
        let of_page = page.blocks_of("sql").map(|block| (format!("{}:{}", page.name, block.line), block.text.clone()));
        queries.extend(of_page.collect::<Vec<_>>());
    }
    queries.extend(recipes());
    assert!(queries.len() > 60, "{}", queries.len());
    let (mut wrong, mut rows) = (Vec::new(), 0);
    for (place, query) in queries {
        let own = own_rows(&mut connection, &query).await;
        rows += own.len();
        match old_rows(&program, &file, &query) {
            Ok(old) if old.len() == own.len() && old.iter().zip(&own).all(|(old, own)| is_same(old, own)) => {}
            Ok(old) => wrong.push(format!("{place}: other rows\n{query}\nown: {own:#?}\n3.26: {old:#?}")),
            Err(error) => wrong.push(format!("{place}: {error}\n{query}")),
        }
    }
    connection.close().await.unwrap();
    assert!(wrong.is_empty(), "{} queries:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows > 100, "{rows}");
}

/// What the pages must not say for copying a history.
#[test]
fn the_old_sqlite_is_old_and_refuses_what_it_does_not_know() {
    let Some(program) = old_sqlite() else { return };
    let version = Command::new(&program).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), "3.26.0\n");
    let error = old_rows(&program, Path::new(":memory:"), "VACUUM INTO '/nowhere'").unwrap_err();
    assert!(error.contains("syntax error"), "{error}");
    for page in pages() {
        assert!(!page.text.contains("VACUUM INTO"), "{}: SQLite 3.26 has no VACUUM INTO", page.name);
    }
}
