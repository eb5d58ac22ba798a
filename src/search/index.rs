//! The index: its files, its fields, and the one writer.
//!
//! A document is a message with words: `key` (room and seq), its words with their positions, and what filters and sorts. No text
//! is stored. A room has one document more, its head: the `rev` up to which the room is indexed. Both are written by the same
//! commit, so that they can't differ.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tantivy::{
    IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError,
    Term,
    directory::{
        MmapDirectory,
        error::{LockError, OpenReadError},
    },
    indexer::{IndexWriterOptions, LogMergePolicy},
    schema::{
        BytesOptions, FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing,
        TextOptions,
    },
    tokenizer::{PreTokenizedString, Token},
};

use super::tokens::tokens;
use crate::{
    limits::INDEX_MEMORY,
    protocol::{Rev, RoomId, Seq},
    store::Text,
};

/// Of the fields and of what texts are cut into: another one needs another index.
const VERSION: u32 = 1;

/// When deleted words left the files for the last time: the time of this file.
const PURGED: &str = "purged";

#[derive(Clone, Copy)]
pub struct Fields {
    pub key: Field,
    pub words: Field,
    pub room: Field,
    pub sender: Field,
}

/// Names of the fields that are read by document.
pub const ROOM: &str = "room";
pub const SEQ: &str = "seq";
pub const CREATED_AT: &str = "created_at";
const HEAD: &str = "head";

/// Why the index can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its files have to be made anew.
    #[error("the files are damaged, or of another version: {0}")]
    Damaged(String),
    /// Another process has it open.
    #[error("another process writes it")]
    Busy,
    #[error("{0}")]
    Failed(String),
}

impl From<TantivyError> for Fault {
    fn from(error: TantivyError) -> Self {
        let damaged = |error: &io::Error| {
            use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
            let kinds = [InvalidData, InvalidInput, NotFound, UnexpectedEof];
            kinds.contains(&error.kind())
        };
        let is_damaged = match &error {
            TantivyError::LockFailure(LockError::LockBusy, _) => return Fault::Busy,
            TantivyError::DataCorruption(_)
            | TantivyError::IncompatibleIndex(_)
            | TantivyError::SchemaError(_)
            | TantivyError::FieldNotFound(_)
            | TantivyError::DeserializeError(_)
            | TantivyError::OpenReadError(
                OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_),
            ) => true,
            TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. })
            | TantivyError::IoError(io_error) => damaged(io_error),
            _ => false,
        };
        if is_damaged {
            Fault::Damaged(error.to_string())
        } else {
            Fault::Failed(error.to_string())
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Failed(error.to_string())
    }
}

pub struct Index {
    path: PathBuf,
    fields: Fields,
    seq: Field,
    created_at: Field,
    head: Field,
    reader: IndexReader,
    writer: IndexWriter,
}

/// The index as of a commit, for searches.
#[derive(Clone)]
pub struct View {
    pub fields: Fields,
    reader: IndexReader,
}

impl View {
    /// The newest commit.
    pub fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }
}

/// The name of the index's directory: another log's index is another one's.
pub fn name(epoch: &str) -> String {
    format!("{epoch}-{VERSION}")
}

/// Deletes all that is in `directory` but the index of this name.
pub fn delete_others(directory: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() == name {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Index {
    /// Opens the index, or makes it where there is none.
    ///
    /// `thorough`: reads all files and compares their checksums.
    pub fn open(path: &Path, thorough: bool) -> Result<Self, Fault> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let mut schema = Schema::builder();
        let positions = TextFieldIndexing::default()
            .set_index_option(IndexRecordOption::WithFreqsAndPositions)
            .set_fieldnorms(false);
        let fields = Fields {
            key: schema.add_bytes_field("key", BytesOptions::default().set_indexed()),
            words: schema.add_text_field(
                "words",
                TextOptions::default().set_indexing_options(positions),
            ),
            room: schema.add_u64_field(ROOM, INDEXED | FAST),
            sender: schema.add_u64_field("sender", INDEXED),
        };
        let seq = schema.add_u64_field(SEQ, FAST);
        let created_at = schema.add_i64_field(CREATED_AT, FAST);
        let head = schema.add_u64_field(HEAD, FAST);
        let directory = MmapDirectory::open(path).map_err(TantivyError::from)?;
        let index = tantivy::Index::builder()
            .schema(schema.build())
            .settings(IndexSettings::default())
            .open_or_create(directory)?;
        if thorough {
            let damaged = index.validate_checksum()?;
            if !damaged.is_empty() {
                return Err(Fault::Damaged(format!("wrong checksums: {damaged:?}")));
            }
        }
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(INDEX_MEMORY)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(0.3);
        writer.set_merge_policy(Box::new(policy));
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            path: path.to_owned(),
            fields,
            seq,
            created_at,
            head,
            reader,
            writer,
        })
    }

    pub fn view(&self) -> View {
        View {
            fields: self.fields,
            reader: self.reader.clone(),
        }
    }

    /// The `rev` up to which each room is indexed, as of the last commit.
    pub fn heads(&self) -> Result<HashMap<RoomId, Rev>, Fault> {
        Ok(heads(&self.reader)?)
    }

    /// Puts a message in place of what there is of it.
    pub fn put(&self, room_id: RoomId, text: &Text) -> Result<(), Fault> {
        self.erase(room_id, text.seq);
        let words = tokens(text.content.as_deref().unwrap_or_default());
        if words.is_empty() {
            return Ok(());
        }
        let tokens = words.into_iter().enumerate().map(|(position, word)| Token {
            position,
            text: word.text,
            ..Token::default()
        });
        let words = PreTokenizedString {
            text: String::new(),
            tokens: tokens.collect(),
        };
        let mut document = TantivyDocument::new();
        document.add_bytes(self.fields.key, &message_key(room_id, text.seq));
        document.add_pre_tokenized_text(self.fields.words, words);
        document.add_u64(self.fields.room, room_id.0);
        document.add_u64(self.fields.sender, text.sender_id.0);
        document.add_u64(self.seq, text.seq);
        document.add_i64(self.created_at, text.created_at.0);
        self.writer.add_document(document)?;
        Ok(())
    }

    pub fn erase(&self, room_id: RoomId, seq: Seq) {
        let key = Term::from_field_bytes(self.fields.key, &message_key(room_id, seq));
        self.writer.delete_term(key);
    }

    /// Erases all messages of a room, and its head.
    pub fn erase_room(&self, room_id: RoomId) {
        let room = Term::from_field_u64(self.fields.room, room_id.0);
        self.writer.delete_term(room);
    }

    pub fn set_head(&self, room_id: RoomId, rev: Rev) -> Result<(), Fault> {
        let key = room_id.0.to_be_bytes();
        self.writer
            .delete_term(Term::from_field_bytes(self.fields.key, &key));
        let mut document = TantivyDocument::new();
        document.add_bytes(self.fields.key, &key);
        document.add_u64(self.fields.room, room_id.0);
        document.add_u64(self.head, rev);
        self.writer.add_document(document)?;
        Ok(())
    }

    /// Stores what was put and erased, and shows it to searches.
    pub fn commit(&mut self) -> Result<(), Fault> {
        self.writer.commit()?;
        self.reader.reload()?;
        Ok(())
    }

    /// How long ago erased words left the files for the last time.
    pub fn since_purge(&self) -> Duration {
        let modified = fs::metadata(self.path.join(PURGED)).and_then(|file| file.modified());
        let purged = modified.unwrap_or(SystemTime::UNIX_EPOCH);
        // A clock that went back: the purge is due.
        purged.elapsed().unwrap_or(Duration::MAX)
    }

    /// Begins to write the files that hold erased words anew, without them. When it has ended, [`Index::purged`] is due.
    pub fn purge(&mut self) -> Result<Purge, Fault> {
        let segments = self.writer.index().searchable_segment_metas()?;
        let segments = segments.iter().filter(|segment| segment.has_deletes());
        // A part that another merge has taken fails: its words are gone with that one.
        let merges: Vec<_> = segments
            .map(|segment| self.writer.merge(&[segment.id()]))
            .collect();
        Ok(Box::pin(join_all(merges).map(drop)))
    }

    /// Lets go of the old files, and notes the time.
    pub fn purged(&mut self) -> Result<(), Fault> {
        self.reader.reload()?;
        self.writer.garbage_collect_files().wait()?;
        fs::write(self.path.join(PURGED), "")?;
        Ok(())
    }
}

/// Ends when erased words have left the files.
pub type Purge = BoxFuture<'static, ()>;

fn heads(reader: &IndexReader) -> tantivy::Result<HashMap<RoomId, Rev>> {
    let mut heads = HashMap::new();
    for segment in reader.searcher().segment_readers() {
        let rooms = segment.fast_fields().u64(ROOM)?;
        let revs = segment.fast_fields().u64(HEAD)?;
        for document in segment.doc_ids_alive() {
            if let (Some(room), Some(rev)) = (rooms.first(document), revs.first(document)) {
                heads.insert(RoomId(room), rev);
            }
        }
    }
    Ok(heads)
}

/// How many changes the index in `directory` holds, whether a server has it open or not; `None`: there is no index.
pub fn changes(directory: &Path) -> Option<u64> {
    let ends = format!("-{VERSION}");
    let entries = fs::read_dir(directory).ok()?.flatten();
    let path = entries
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with(&ends))?;
    let index = tantivy::Index::open_in_dir(path).ok()?;
    let heads = heads(&index.reader().ok()?).ok()?;
    Some(heads.values().sum())
}

fn message_key(room_id: RoomId, seq: Seq) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&room_id.0.to_be_bytes());
    key[8..].copy_from_slice(&seq.to_be_bytes());
    key
}
