-- Prosody: rooms with an archive (MAM) in SQLite, WebSocket, anonymous log-in, on this machine only.
-- The harness puts paths and the port in.
run_as_root = true
daemonize = false
pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@"
interfaces = { "127.0.0.1" }
c2s_ports = {}
s2s_ports = {}
https_ports = {}
legacy_ssl_ports = {}
http_ports = { @PORT@ }
http_interfaces = { "127.0.0.1" }
http_default_host = "localhost"
modules_enabled = { "saslauth", "websocket", "disco", "ping" }
modules_disabled = { "s2s", "tls", "offline", "posix" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
consider_websocket_secure = true
authentication = "anonymous"
storage = "sql"
sql = { driver = "SQLite3", database = "prosody.sqlite" }
log = { warn = "@DIR@/prosody-warnings.log" }
limits = {}
network_settings = { read_timeout = 900 }

VirtualHost "localhost"

Component "conference.localhost" "muc"
  modules_enabled = { "muc_mam" }
  muc_log_by_default = true
  muc_room_locking = false
  muc_room_default_persistent = true
  muc_room_cache_size = 2000
  muc_room_default_presence_broadcast = { visitor = false, participant = false, moderator = false }
  muc_room_default_history_length = 0
  max_archive_query_results = 250
  storage_archive_item_limit = 10000000
  archive_expires_after = "never"
  muc_log_expires_after = "never"
