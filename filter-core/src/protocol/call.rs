//! Calls: a request, the method and the path that it goes by, and its answer. The list
//! of all calls is [`protocol`](super)'s.

use serde::{Serialize, de::DeserializeOwned};

use super::{Answer, Command, Query};

/// A request's HTTP method. The fields of a request that is got travel in the query,
/// those of every other one as JSON in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// `GET`: changes nothing.
    Get,
    /// `POST`.
    Post,
    /// `PUT`: twice is as once.
    Put,
}

/// A request that the daemon answers.
pub trait Call: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The method that it goes by.
    const METHOD: Method;
    /// The path that it goes to.
    const PATH: &'static str;
    /// Its answer; of [`Lines`], one line of it.
    type Answer: Serialize + DeserializeOwned + Send + 'static;
}

/// A call whose answer is one value.
pub trait Ask: Call {
    /// The request among all others.
    fn question(self) -> Question;

    /// This call's answer; `None`: it is the answer of another.
    fn own(answer: Answer) -> Option<Self::Answer>;
}

/// A call whose answer is lines, one JSON object each: many, or still to come.
pub trait Lines: Call {}

/// A request whose answer is one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Something is to be changed.
    Command(Command),
    /// Something is to be shown.
    Query(Query),
}

/// Receives the type of each [`Ask`], one after the other.
pub trait Visitor {
    /// Receives one.
    fn visit<C: Ask>(&mut self);
}

/// Makes of the list of all calls the enums of requests and answers, the conversions
/// between them, and [`Visitor`]'s way through them.
macro_rules! calls {
    (
        commands { $(
            $(#[$command_doc:meta])*
            $Command:ident($CommandRequest:ty) -> $CommandAnswer:ty,
                $command_method:ident $command_path:literal;
        )* }
        queries { $(
            $(#[$query_doc:meta])*
            $Query:ident($QueryRequest:ty) -> $QueryAnswer:ty,
                $query_method:ident $query_path:literal;
        )* }
        lines { $(
            $LinesRequest:ty => $Line:ty, $lines_method:ident $lines_path:literal;
        )* }
    ) => {
        /// What an operator can have changed.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Command { $(
            $(#[$command_doc])*
            $Command($CommandRequest),
        )* }

        /// What the daemon shows, and what changes nothing.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Query { $(
            $(#[$query_doc])*
            $Query($QueryRequest),
        )* }

        /// What became of a [`Command`], or what a [`Query`] shows.
        #[expect(
            clippy::large_enum_variant,
            reason = "an answer is moved a few times and never stored"
        )]
        #[derive(Clone, Debug, PartialEq)]
        pub enum Answer {
            $(
                #[doc = concat!("Of [`Command::", stringify!($Command), "`].")]
                $Command($CommandAnswer),
            )*
            $(
                #[doc = concat!("Of [`Query::", stringify!($Query), "`].")]
                $Query($QueryAnswer),
            )*
        }

        $($crate::protocol::call::calls!(
            @ask Command::$Command($CommandRequest) -> $CommandAnswer,
            $command_method $command_path
        );)*
        $($crate::protocol::call::calls!(
            @ask Query::$Query($QueryRequest) -> $QueryAnswer,
            $query_method $query_path
        );)*
        $(
            $crate::protocol::call::calls!(
                @call $LinesRequest => $Line, $lines_method $lines_path
            );
            impl Lines for $LinesRequest {}
        )*

        /// The method and the path of each call.
        pub const CALLS: &[(Method, &str)] = &[
            $((Method::$command_method, $command_path),)*
            $((Method::$query_method, $query_path),)*
            $((Method::$lines_method, $lines_path),)*
        ];

        /// Shows a visitor the type of each call whose answer is one value.
        pub fn visit_each(visitor: &mut impl Visitor) {
            $(visitor.visit::<$CommandRequest>();)*
            $(visitor.visit::<$QueryRequest>();)*
        }
    };
    (@ask $Kind:ident::$Name:ident($Request:ty) -> $Answer:ty, $method:ident $path:literal) => {
        $crate::protocol::call::calls!(@call $Request => $Answer, $method $path);

        impl Ask for $Request {
            fn question(self) -> Question {
                Question::$Kind($Kind::$Name(self))
            }

            fn own(answer: Answer) -> Option<$Answer> {
                match answer {
                    Answer::$Name(answer) => Some(answer),
                    _ => None,
                }
            }
        }
    };
    (@call $Request:ty => $Answer:ty, $method:ident $path:literal) => {
        impl Call for $Request {
            const METHOD: Method = Method::$method;
            const PATH: &'static str = $path;
            type Answer = $Answer;
        }
    };
}

pub(super) use calls;
