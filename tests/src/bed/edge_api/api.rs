//! The API: a small HTTP server that answers every call it gets, and counts them
//! by who says that it calls.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{runtime::Builder, sync::oneshot};

use crate::bed::Namespace;

/// A server on a host's own address; gone on drop.
#[derive(Debug)]
pub struct Api {
    served: Served,
    stop: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
}

type Served = Arc<Mutex<BTreeMap<String, u64>>>;

impl Api {
    /// Starts it.
    ///
    /// # Panics
    /// If its port is taken.
    #[must_use]
    pub fn start(host: &Namespace) -> Self {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).expect("the port is free");
        let listener = host.enter(listen);
        listener.set_nonblocking(true).expect("it is a socket");
        let served = Served::default();
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::clone(&served);
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = serve(listener, &counts) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            served,
            stop: Some((stop, thread)),
        }
    }

    /// The number of calls of somebody that it answered.
    #[must_use]
    pub fn served(&self, name: &str) -> u64 {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.get(name).copied().unwrap_or_default()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            // Both fail only where it has panicked, and has printed that.
            let _ended = stop.send(());
            let _ended = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, served: &Served) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("it is a socket");
    // Whoever left before being accepted is nobody's loss.
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let served = Arc::clone(served);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, &served));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // To a gateway that left, nothing can be sent.
            let _ended = connection.await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    served: &Served,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.headers().get(CALLER);
    let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
    let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
    *served.entry(name.to_owned()).or_default() += 1;
    Ok(Response::new(Full::new(Bytes::from_static(ORDER))))
}

/// The answer to a served call.
pub const ORDER: &[u8] = b"{\"order\": 7}";

/// The header in which callers say who they are, for the count.
pub const CALLER: &str = "x-caller";

/// The port on which it listens, as the gateways' pages have it.
const PORT: u16 = 8080;
