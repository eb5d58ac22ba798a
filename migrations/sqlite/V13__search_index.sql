-- The search index is beside the database now (src/search), made from the log by each node.
DROP TABLE IF EXISTS message_words_fts;
DROP TABLE IF EXISTS message_words;
DROP TABLE IF EXISTS search_cursors;
