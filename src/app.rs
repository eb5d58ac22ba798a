//! The only composition root: builds the parts, connects them, and stops them in order.
//!
//! When the server stops, it accepts nothing new and tells the connections, which drain until [`DRAIN_CONNECTIONS`]; then
//! it drains the log until [`DRAIN_LOG`]; then the process ends, whatever is left.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::{Signal, raise},
};
use tokio::{
    net::TcpListener,
    time::{self, MissedTickBehavior},
};

use crate::{
    auth::{
        passwords::Passwords,
        secret,
        tokens::{Tokens, sha256},
    },
    chat::{Chat, Entrance, Stored},
    cli::{backup, check, health, users},
    config::{Command, Config, EpochCommand, NO_ADMIN},
    http::{self, Hosts, Origins, Proxies, Site, server::Listeners},
    hub::Hub,
    limits::*,
    search::{Feed, Search},
    shutdown::{self, Shutdown},
    store::{self, CommitHook, Options, Store, backup::Stop, migrate},
    telemetry,
    ws::{self, Gateway},
};

/// Why the program can't do what it was asked to do. Each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the data directory {0} can't be made or used: {1}; make it, or set HEARTH_DATA_DIR")]
    DataDir(PathBuf, io::Error),
    #[error(
        "the key for access tokens can't be kept in {0}: {1}; make the directory writable, or set HEARTH_JWT_SECRET"
    )]
    Secret(PathBuf, io::Error),
    #[error(
        "the server can't listen on {1}: {2}; stop the program that uses this address, or set {0}"
    )]
    Listen(&'static str, SocketAddr, io::Error),
    #[error("{0}; `hearth check` tells more")]
    Store(#[from] store::Error),
    #[error("metrics can't be recorded: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    #[error("no threads can be started: {0}; raise the limit of processes (ulimit -u)")]
    Threads(io::Error),
    #[error("signals can't be received: {0}")]
    Signals(io::Error),
    #[error("stopped by signal {0}")]
    Stopped(u8),
    #[error(transparent)]
    User(#[from] users::UserError),
    #[error(transparent)]
    Backup(#[from] backup::CommandError),
    #[error(transparent)]
    Health(#[from] health::HealthError),
    #[error("this deletes everything in the database; confirm it with --yes")]
    NotConfirmed,
    #[error("`hearth check` found faults")]
    CheckFailed,
}

/// Does what the command line asks for.
pub async fn run(command: Command, config: Config) -> Result<(), Error> {
    // Where the database is, and what the store needs of other parts.
    let options = Options::new(config.database.clone(), config.database_pool, sha256);
    match command {
        Command::Serve => serve(config, options).await,
        Command::Migrate => {
            make_data_dir(&config)?;
            let report = migrate::migrate(&options).await?;
            let (schema, applied) = (report.version, report.applied.len());
            tracing::info!(schema, applied, "the database has this version's schema");
            Ok(())
        }
        Command::Reset { yes: false } => Err(Error::NotConfirmed),
        Command::Reset { yes: true } => {
            make_data_dir(&config)?;
            migrate::reset(&options).await?;
            let report = migrate::migrate(&options).await?;
            tracing::info!(
                schema = report.version,
                "the database was emptied and made anew"
            );
            Ok(())
        }
        Command::User { command } => tokio::select! {
            biased;
            // The command is dropped, which restores the terminal.
            signal = shutdown::stopped() => Err(match signal {
                Ok(signal) => Error::Stopped(signal),
                Err(error) => Error::Signals(error),
            }),
            done = users::run(&config, &options, command) => Ok(done?),
        },
        Command::Health => {
            let address = health::run(config.listen).await?;
            // A closed stdout is no failure.
            let _ = writeln!(io::stdout(), "healthy: {address}");
            Ok(())
        }
        Command::Backup { to } => {
            stoppable(async |stop| backup::back_up(&config, &options, &to, stop).await).await
        }
        Command::Restore { from } => {
            stoppable(async |stop| backup::restore(&config, &options, &from, stop).await).await
        }
        Command::Epoch {
            command: EpochCommand::Renew,
        } => Ok(backup::renew_epoch(&config, &options).await?),
        Command::Check => {
            if check::run(&config, &options).await {
                Ok(())
            } else {
                Err(Error::CheckFailed)
            }
        }
    }
}

/// Runs work that leaves nothing behind when a signal ends it.
async fn stoppable(
    work: impl AsyncFnOnce(Stop) -> Result<(), backup::CommandError>,
) -> Result<(), Error> {
    let stop = Stop::default();
    let mut work = std::pin::pin!(work(stop.clone()));
    tokio::select! {
        biased;
        signal = shutdown::stopped() => {
            let signal = signal.map_err(Error::Signals)?;
            stop.store(true, Ordering::Relaxed);
            // Work that can't be stopped any more is finished.
            work.await.map_err(|_| Error::Stopped(signal))
        }
        done = &mut work => Ok(done?),
    }
}

/// A running server, as far as its end needs it.
struct Server {
    store: Store,
    search: Search,
    hub: Arc<Hub>,
    shutdown: Shutdown,
    _only_server: Option<fs::File>,
}

async fn serve(config: Config, options: Options) -> Result<(), Error> {
    let mut requested = std::pin::pin!(shutdown::requested());
    let server = tokio::select! {
        server = start(config, options) => server?,
        signal = &mut requested => {
            signal.map_err(Error::Signals)?;
            return Ok(());
        }
    };
    let signal = requested.await.map_err(Error::Signals)?;
    tracing::info!(signal, "stopping; a second signal stops at once");
    server.shutdown.token.cancel();
    server.hub.leave_all();
    if !server.shutdown.drain(DRAIN_CONNECTIONS).await {
        let left = server.shutdown.tasks.len();
        tracing::warn!(left, "connections are cut: they did not end in time");
    }
    if time::timeout(DRAIN_SEARCH, server.search.close())
        .await
        .is_err()
    {
        tracing::warn!("the search index was not stored in time; it goes on from where it was");
    }
    if time::timeout(DRAIN_LOG, server.store.close())
        .await
        .is_err()
    {
        tracing::error!("the log was not drained in time: changes that were still queued are lost");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Builds everything, from the bottom up, and begins to accept connections.
async fn start(config: Config, options: Options) -> Result<Server, Error> {
    for setting in &config.unknown {
        tracing::warn!(setting, "there is no such setting; is it mistyped?");
    }
    let files_max = raise_file_limit();
    let connections_max = connections_max(files_max);
    make_data_dir(&config)?;
    let key = signing_key(&config)?;
    let metrics = telemetry::start_metrics()?;
    let sockets = Sockets::bind(&config).await?;
    let shutdown = Shutdown::default();

    let hub = Hub::new(ws::frame::header);
    let feed = Feed::default();
    let only_server = store::only_server(&options)?;
    let store = Store::open(&options, commit_hook(&hub, &feed)).await?;
    if !store.has_admin().await? {
        tracing::warn!("{NO_ADMIN}");
    }
    hub.start(store.clone());
    let directory = config.search_dir();
    let search = Search::start(store.clone(), feed, directory, config.search_purge);
    let chat = Arc::new(new_chat(&config, store.clone(), search.clone(), &key)?);
    let gateway = Gateway::new(chat.clone(), hub.clone(), shutdown.clone());
    shutdown.spawn(gateway.clone().watch_revocations());
    shutdown.spawn(hub.clone().watch_heads());
    shutdown.spawn(hub.clone().watch_grace_periods());
    spawn_periodic_work(&shutdown, &store, &chat, metrics.clone());

    // A mistake in the table of routes stops the start, and not the first request.
    http::build_routes();
    let site = Site {
        chat,
        gateway,
        origins: Origins::new(config.public_url.as_ref(), config.cors_origins.clone()),
        proxies: Proxies::new(config.trusted_proxies.clone()),
        hosts: Hosts::new(connections_max, config.connections_per_address),
        stopping: shutdown.token.clone(),
    };
    tracing::info!(
        listen.addr = %sockets.http.1,
        listen.tcp = sockets.lines.as_ref().map(|(_, address)| tracing::field::display(address)),
        listen.metrics = sockets.metrics.as_ref().map(|(_, address)| tracing::field::display(address)),
        version = env!("CARGO_PKG_VERSION"),
        files_max,
        connections_max,
        "listening"
    );
    sockets.serve(Arc::new(site), connections_max, metrics, &shutdown);
    Ok(Server {
        store,
        search,
        hub,
        shutdown,
        _only_server: only_server,
    })
}

/// The most connections that may be open at once, given the limit of open files.
fn connections_max(files_max: usize) -> usize {
    let connections_max = CONNECTIONS_MAX.min(files_max.saturating_sub(FILES_RESERVED).max(1));
    if connections_max < CONNECTIONS_MAX {
        tracing::warn!(
            connections_max,
            "raise the limit of open files to serve more connections"
        );
    }
    connections_max
}

/// The key that signs access tokens: the one that is set, or the one in the data directory.
fn signing_key(config: &Config) -> Result<String, Error> {
    match &config.jwt_secret {
        Some(secret) => Ok(secret.expose().to_owned()),
        None => secret::load_or_create(&config.data_dir)
            .map_err(|error| Error::Secret(config.data_dir.clone(), error)),
    }
}

fn new_chat(config: &Config, store: Store, search: Search, key: &str) -> Result<Chat, Error> {
    let previous_key = config.jwt_secret_previous.as_ref();
    Ok(Chat::new(
        Stored {
            store,
            search,
            pool: config.database_pool,
        },
        Passwords::start(config.argon2.clone()).map_err(Error::Threads)?,
        Tokens::new(
            key.as_bytes(),
            previous_key.map(|secret| secret.expose().as_bytes()),
            config.access_ttl,
        ),
        config.refresh_ttl,
        Entrance {
            registration: config.registration,
            public_url: config.public_url.clone(),
        },
        config.rate_limits.into(),
    ))
}

/// Starts what is done at intervals. Each is a task of its own, so that none waits for another: the database may be slow
/// or away.
fn spawn_periodic_work(
    shutdown: &Shutdown,
    store: &Store,
    chat: &Arc<Chat>,
    metrics: PrometheusHandle,
) {
    let files = store.clone();
    shutdown.spawn(every(FILES_INTERVAL, async move || files.look_at_files()));
    shutdown.spawn(stop_with_another_log(store.clone()));
    shutdown.spawn(every(METRICS_UPKEEP_INTERVAL, async move || {
        metrics.run_upkeep();
    }));
    let pruned = chat.clone();
    shutdown.spawn(every(PRUNE_INTERVAL, async move || pruned.prune().await));
    let (jobs, mut seen) = (chat.clone(), HashMap::new());
    shutdown.spawn(every(PENDING_JOBS_INTERVAL, async move || {
        jobs.run_pending_jobs(&mut seen).await;
    }));
}

/// Runs `act` again and again. Between the end of a run that took longer than the interval and the next one there is
/// a whole interval.
async fn every(interval: Duration, mut act: impl AsyncFnMut()) {
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        act().await;
    }
}

/// A listening socket and its address, which has the port that was taken for port 0.
type Listening = (TcpListener, SocketAddr);

struct Sockets {
    http: Listening,
    lines: Option<Listening>,
    metrics: Option<Listening>,
}

impl Sockets {
    async fn bind(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            http: listen("HEARTH_LISTEN", config.listen).await?,
            lines: listen_if_set("HEARTH_LISTEN_TCP", config.listen_tcp).await?,
            metrics: listen_if_set("HEARTH_LISTEN_METRICS", config.listen_metrics).await?,
        })
    }

    /// Begins to accept connections.
    fn serve(
        self,
        site: Arc<Site>,
        connections_max: usize,
        metrics: PrometheusHandle,
        shutdown: &Shutdown,
    ) {
        if let Some((listener, _)) = self.metrics {
            shutdown.tasks.spawn(http::metrics::serve(
                listener,
                metrics,
                shutdown.token.clone(),
                shutdown.tasks.clone(),
            ));
        }
        shutdown.tasks.spawn(http::server::serve(
            Listeners {
                http: self.http.0,
                lines: self.lines.map(|(listener, _)| listener),
            },
            site,
            connections_max,
            shutdown.token.clone(),
            shutdown.tasks.clone(),
        ));
    }
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<Listening, Error> {
    let listening = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listening
        .await
        .map_err(|error| Error::Listen(setting, address, error))
}

async fn listen_if_set(
    setting: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<Listening>, Error> {
    match address {
        Some(address) => listen(setting, address).await.map(Some),
        None => Ok(None),
    }
}

/// Tells the events of each commit to the search index and to the hub.
fn commit_hook(hub: &Hub, feed: &Feed) -> CommitHook {
    let (hub, feed) = (hub.commit_hook(), feed.clone());
    Arc::new(move |events| {
        feed.note(&events);
        hub(events);
    })
}

fn make_data_dir(config: &Config) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .map_err(|error| Error::DataDir(config.data_dir.clone(), error))
}

/// Stops the server, in order, when its database was reset or restored while it ran: a user who is logged in here may
/// be another user there.
async fn stop_with_another_log(store: Store) {
    let mut interval = time::interval(HEADS_INTERVAL);
    loop {
        interval.tick().await;
        if matches!(store.same_epoch().await, Ok(false)) {
            tracing::error!(
                "the database was reset or restored while the server ran; the server stops"
            );
            if let Err(error) = raise(Signal::SIGTERM) {
                tracing::error!(%error, "the server can't be stopped in order");
            }
            return;
        }
    }
}

/// Raises the soft limit of open files to the hard one. Returns the limit that holds then.
fn raise_file_limit() -> usize {
    /// What systems commonly allow, where the limit can't be read.
    const FILES_MAX_COMMON: usize = 1_024;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        if soft < hard {
            tracing::info!(from = soft, to = hard, "the limit of open files was raised");
        }
        Ok(hard)
    });
    let limit = raised.or_else(|error| {
        tracing::warn!(%error, "the limit of open files could not be raised");
        getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| soft)
    });
    limit.map_or(FILES_MAX_COMMON, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
