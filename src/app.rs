//! The only composition root: builds the parts, connects them, and takes them down in order.
//!
//! The order of the end: accept nothing new and tell the sessions (they drain until
//! [`DRAIN_SESSIONS`]), then the log (until [`DRAIN_LOG`]), then the process, whatever is left.

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

use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::{Signal, raise},
};
use tokio::{
    net::TcpListener,
    time::{self, MissedTickBehavior},
};

use crate::{
    auth::{passwords::Passwords, secret, tokens::Tokens},
    backup,
    chat::{Chat, Entrance},
    config::{Command, Config, EpochCommand, NO_ADMIN},
    health,
    http::{self, Hosts, Origins, Proxies, Site, server::Listeners},
    hub::Hub,
    limits::*,
    shutdown::{self, Shutdown},
    store::{self, CommitHook, Store, backup::Stop, migrate, search::Indexer},
    telemetry, users,
    ws::{self, Gateway},
};

/// Why the program can't do what it was asked to do. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the data directory {0} can't be made or used: {1}; make it, or set HEARTH_DATA_DIR")]
    DataDir(PathBuf, io::Error),
    #[error("the key for access tokens can't be kept in {0}: {1}; set HEARTH_JWT_SECRET or repair")]
    Secret(PathBuf, io::Error),
    #[error("{1} can't be listened on: {2}; stop what uses it, or set {0}")]
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
    User(#[from] users::Fault),
    #[error(transparent)]
    Backup(#[from] backup::Fault),
    #[error(transparent)]
    Health(#[from] health::Fault),
    #[error("this deletes everything in the database; say so with --yes")]
    NotConfirmed,
    #[error("`hearth check` found faults")]
    Faults,
}

/// Does what the command line asks for.
pub async fn run(command: Command, config: Config) -> Result<(), Failure> {
    match command {
        Command::Serve => serve(config).await,
        Command::Migrate => {
            make_data_dir(&config)?;
            let report = migrate::migrate(&config.database).await?;
            let (schema, applied) = (report.version, report.applied.len());
            tracing::info!(schema, applied, "the database has this version's schema");
            Ok(())
        }
        Command::Reset { yes: false } => Err(Failure::NotConfirmed),
        Command::Reset { yes: true } => {
            make_data_dir(&config)?;
            migrate::reset(&config.database).await?;
            let report = migrate::migrate(&config.database).await?;
            tracing::info!(
                schema = report.version,
                "the database was emptied and made anew"
            );
            Ok(())
        }
        Command::User { command } => tokio::select! {
            biased;
            // What was begun is dropped, and a terminal is as it was.
            signal = shutdown::stopped() => Err(match signal {
                Ok(signal) => Failure::Stopped(signal),
                Err(error) => Failure::Signals(error),
            }),
            done = users::run(&config, command) => Ok(done?),
        },
        Command::Health => {
            let address = health::run(config.listen).await?;
            // Who asked may be gone.
            let _ = writeln!(io::stdout(), "healthy: {address}");
            Ok(())
        }
        Command::Backup { to } => {
            stoppable(async |stop| backup::back_up(&config, &to, stop).await).await
        }
        Command::Restore { from } => {
            stoppable(async |stop| backup::restore(&config, &from, stop).await).await
        }
        Command::Epoch {
            command: EpochCommand::Renew,
        } => Ok(backup::renew_epoch(&config).await?),
        Command::Check => match crate::check::run(&config).await {
            true => Ok(()),
            false => Err(Failure::Faults),
        },
    }
}

/// Work that leaves nothing behind when a signal ends it.
async fn stoppable(
    work: impl AsyncFnOnce(Stop) -> Result<(), backup::Fault>,
) -> Result<(), Failure> {
    let stop = Stop::default();
    let mut work = std::pin::pin!(work(stop.clone()));
    tokio::select! {
        biased;
        signal = shutdown::stopped() => {
            let signal = signal.map_err(Failure::Signals)?;
            stop.store(true, Ordering::Relaxed);
            // What was too far to be stopped is done.
            work.await.map_err(|_| Failure::Stopped(signal))
        }
        done = &mut work => Ok(done?),
    }
}

/// A server that has been built: what its end needs.
struct Server {
    store: Store,
    hub: Arc<Hub>,
    shutdown: Shutdown,
    _only_server: Option<fs::File>,
}

async fn serve(config: Config) -> Result<(), Failure> {
    let mut requested = std::pin::pin!(shutdown::requested());
    let server = tokio::select! {
        server = start(config) => server?,
        signal = &mut requested => {
            signal.map_err(Failure::Signals)?;
            return Ok(());
        }
    };
    let signal = requested.await.map_err(Failure::Signals)?;
    tracing::info!(signal, "stopping; a second signal stops at once");
    server.shutdown.token.cancel();
    server.hub.leave_all();
    if !server.shutdown.drain(DRAIN_SESSIONS).await {
        let left = server.shutdown.tasks.len();
        tracing::warn!(left, "connections are cut: they did not end in time");
    }
    if time::timeout(DRAIN_LOG, server.store.close())
        .await
        .is_err()
    {
        tracing::error!("the log was not drained in time: what waits in it is not stored");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Builds everything, from the bottom up, and begins to accept.
async fn start(config: Config) -> Result<Server, Failure> {
    for setting in &config.unknown {
        tracing::warn!(setting, "there is no such setting; is it mistyped?");
    }
    let files = raise_file_limit();
    let connections_max = CONNECTIONS_MAX.min(files.saturating_sub(FILES_RESERVED).max(1));
    if connections_max < CONNECTIONS_MAX {
        tracing::warn!(
            connections_max,
            "raise the limit of open files to serve more"
        );
    }
    make_data_dir(&config)?;
    let key = match &config.jwt_secret {
        Some(secret) => secret.expose().to_owned(),
        None => secret::load_or_create(&config.data_dir)
            .map_err(|error| Failure::Secret(config.data_dir.clone(), error))?,
    };
    let metrics = telemetry::start_metrics()?;
    let (listener, address) = listen("HEARTH_LISTEN", config.listen).await?;
    let (lines, lines_address) = match config.listen_tcp {
        Some(address) => {
            let (listener, address) = listen("HEARTH_LISTEN_TCP", address).await?;
            (Some(listener), Some(address))
        }
        None => (None, None),
    };
    let (watched, metrics_address) = match config.listen_metrics {
        Some(address) => {
            let (listener, address) = listen("HEARTH_LISTEN_METRICS", address).await?;
            (Some(listener), Some(address))
        }
        None => (None, None),
    };
    let shutdown = Shutdown::default();

    let hub = Hub::new(ws::frame::text);
    let indexer = Arc::new(Indexer::default());
    let only_server = store::only_server(&config.database)?;
    let store = Store::open(&config.database, listener_of(&hub, &indexer)).await?;
    if !store.has_admin().await? {
        tracing::warn!("{NO_ADMIN}");
    }
    hub.start(store.clone());
    let chat = Arc::new(Chat::new(
        store.clone(),
        config.database.pool,
        Passwords::start(config.argon2.clone()).map_err(Failure::Threads)?,
        Tokens::new(
            key.as_bytes(),
            config
                .jwt_secret_previous
                .as_ref()
                .map(|secret| secret.expose().as_bytes()),
            config.access_ttl,
        ),
        config.refresh_ttl,
        Entrance {
            registration: config.registration,
            public_url: config.public_url.clone(),
        },
        config.rate_limits,
    ));
    let gateway = Gateway::new(chat.clone(), hub.clone(), shutdown.clone());
    let revocations = gateway.clone().watch_revocations();
    shutdown.tasks.spawn(
        shutdown
            .token
            .clone()
            .run_until_cancelled_owned(revocations),
    );
    let site = Site::new(
        chat.clone(),
        gateway,
        Origins::new(config.public_url.as_ref(), config.cors_origins.clone()),
        Proxies::new(config.trusted_proxies.clone()),
        Hosts::new(connections_max, config.connections_per_address),
        shutdown.token.clone(),
    );
    let watching = hub.clone().watch_heads();
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(watching));
    let graces = hub.clone().watch_graces();
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(graces));

    let indexing = indexer.run(store.clone());
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(indexing));

    let looked = store.clone();
    let look = every(FILES_INTERVAL, async move || looked.look_at_files());
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(look));
    let same_log = stop_with_another_log(store.clone());
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(same_log));
    // None waits for another: the database may be slow, or away.
    if let Some(listener) = watched {
        shutdown.tasks.spawn(http::metrics::serve(
            listener,
            metrics.clone(),
            shutdown.token.clone(),
            shutdown.tasks.clone(),
        ));
    }
    let upkeep = every(METRICS_UPKEEP_INTERVAL, async move || metrics.run_upkeep());
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(upkeep));
    let pruned = chat.clone();
    let prune = every(PRUNE_INTERVAL, async move || pruned.prune().await);
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(prune));
    let mut met = HashMap::new();
    let sweep = every(CHORES_INTERVAL, async move || chat.sweep(&mut met).await);
    shutdown
        .tasks
        .spawn(shutdown.token.clone().run_until_cancelled_owned(sweep));
    shutdown.tasks.spawn(http::server::serve(
        Listeners {
            http: listener,
            lines,
        },
        Arc::new(site),
        connections_max,
        shutdown.token.clone(),
        shutdown.tasks.clone(),
    ));
    tracing::info!(
        listen.addr = %address,
        listen.tcp = lines_address.map(tracing::field::display),
        listen.metrics = metrics_address.map(tracing::field::display),
        version = env!("CARGO_PKG_VERSION"),
        files_max = files,
        connections_max,
        "listening"
    );
    Ok(Server {
        store,
        hub,
        shutdown,
        _only_server: only_server,
    })
}

/// Does something again and again, with this pause at least after what took longer.
async fn every(interval: Duration, mut act: impl AsyncFnMut()) {
    let mut ticks = time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        act().await;
    }
}

/// Listens on what this setting says; the address has the port that was taken for port 0.
async fn listen(
    setting: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Failure> {
    let listening = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listening
        .await
        .map_err(|error| Failure::Listen(setting, address, error))
}

/// What the store tells of its commits: to the search index, which notes the rooms, and to the hub.
fn listener_of(hub: &Hub, indexer: &Arc<Indexer>) -> CommitHook {
    let (hub, indexer) = (hub.listener(), indexer.clone());
    Arc::new(move |events| {
        indexer.note(&events);
        hub(events);
    })
}

fn make_data_dir(config: &Config) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .map_err(|error| Failure::DataDir(config.data_dir.clone(), error))
}

/// Stops the server, in order, when its database was reset or restored under it: who is logged in here
/// may be somebody else there.
async fn stop_with_another_log(store: Store) {
    let mut interval = time::interval(HEADS_INTERVAL);
    loop {
        interval.tick().await;
        if matches!(store.same_epoch().await, Ok(false)) {
            tracing::error!("the database was reset or restored under this server, which stops");
            if let Err(error) = raise(Signal::SIGTERM) {
                tracing::error!(%error, "the server can't be stopped in order");
            }
            return;
        }
    }
}

/// Raises the soft limit of open files to the hard one; tells what holds then.
fn raise_file_limit() -> usize {
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
    limit.map_or(1_024, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
