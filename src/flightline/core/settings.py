"""Where the project runs: one frozen object, built at the edges and passed down.

What the model learns (training parameters, windows, thresholds) is not here; see
`problem/config.py` and `training/fit.py`. Each field can be set by an environment variable:
FLIGHTLINE_ROOT, FLIGHTLINE_SERVING__PORT, and so on.
"""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from flightline.core.engine_settings import DaskSettings, DuckDBSettings, SparkSettings

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]

Scope = Literal["predict", "score", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class ApiKey(BaseModel, frozen=True, extra="forbid"):
    """What is kept of an API key: never the key."""

    sha256: Sha256
    expires: AwareDatetime | None = None
    scopes: tuple[Scope, ...] = SCOPES  # as keys had before there were scopes


class ServingSettings(BaseModel, frozen=True, hide_input_in_errors=True):
    """How the prediction service listens, what it bounds and what it shows of itself."""

    host: str = Field(default="127.0.0.1", description="Address to bind.")
    port: int = Field(default=8000, ge=1, le=65535, description="TCP port to bind.")
    watch: bool = Field(
        default=True, description="Start the model sync beside the service; false if it runs elsewhere."
    )
    watch_seconds: float = Field(default=2.0, gt=0, description="Between two looks of the model sync at the registry.")
    poll_seconds: float = Field(default=1.0, gt=0, description="Between two looks of a worker for a new model.")
    max_instances: int = Field(default=1000, ge=1, description="Instances allowed in one request.")
    max_explained: int = Field(default=20, ge=1, description="Instances allowed in one request to :explain.")
    page: bool = Field(default=True, description="Show a page for people at /; false: only where things are, as JSON.")
    max_body_bytes: int = Field(
        default=1_000_000, ge=1, description="Size of a request body above which it is refused."
    )
    workers: int = Field(default=1, ge=1, le=64, description="Processes that answer requests.")
    max_concurrent: int = Field(default=64, ge=1, description="Requests one worker takes at a time; more get 503.")
    max_rows: int = Field(
        default=6000, ge=1, description="Rows of large requests one worker works on at a time; more get 503."
    )
    max_rows_per_key: int = Field(
        default=3000, ge=1, description="The same of one key, so that there is room for others; more get 429."
    )
    part_rows: int = Field(
        default=100, ge=1, description="Rows of a large request predicted at a time, between two looks at the clock."
    )
    max_columns: int = Field(default=1000, ge=1, description="Columns allowed in one instance; more get 422.")
    max_connections: int = Field(default=1000, ge=1, description="Connections one worker holds; more get 503.")
    max_header_bytes: int = Field(default=16_384, ge=256, description="Size of a request's head; beyond it 431.")
    head_seconds: float = Field(default=10, gt=0, description="Time to send a request's head, then it is cut off.")
    body_seconds: float = Field(default=10, gt=0, description="Time to send a request's body, then it gets 408.")
    request_seconds: float = Field(default=20, gt=0, description="Time to answer a request, then it gets 503.")
    keep_alive_seconds: int = Field(default=15, ge=1, description="Time an idle connection is kept.")
    api_keys: dict[str, Sha256 | ApiKey] = Field(
        default={},
        description="Keys valid besides those of `make api-key`, as JSON: name to sha256 (hex), or to an object of "
        "sha256, expires and scopes.",
    )
    requests_per_minute: int | None = Field(
        default=None, ge=0, description="Per key; 0: no limit. Unset: 6000 where keys are needed, else none."
    )
    failed_keys_per_minute: int = Field(default=30, ge=1, description="Wrong keys per client address.")
    limits_url: SecretStr = Field(
        default=SecretStr(""),
        description="Redis where all workers count both, such as redis://:password@host:6379/1; empty: each by itself.",
    )
    limits_password: SecretStr = Field(default=SecretStr(""), description="Of that Redis, where its URL holds none.")
    trusted_proxies: str = Field(
        default="", description="Addresses, with commas, whose X-Forwarded-For is believed; empty: nobody's."
    )
    hsts: bool = Field(default=False, description="Tell browsers to come by HTTPS only; for a service behind TLS.")
    models_dir: Path | None = Field(
        default=None,
        description="Where the service finds its model; unset: .state/serving, which the model sync fills.",
    )
    metrics_dir: Path | None = Field(
        default=None, description="Where workers share their metrics, on a local disk; unset: .state/metrics."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="'auto': text on a terminal in the profile local, else JSON lines."
    )
    canary_seconds: float = Field(
        default=0.1,
        gt=0,
        le=5,
        description="How long a challenger may take; an answer waits so long for one that takes a share, no longer.",
    )
    canary_rows: int = Field(
        default=2000, ge=1, description="Rows that may wait for a shadow in a worker; what comes beyond is not asked."
    )
    slow_request_seconds: float = Field(default=1, gt=0, description="A request that takes longer is logged.")
    otlp_endpoint: str = Field(
        default="", description="Where traces go by OTLP/HTTP, such as http://collector:4318; empty: none are made."
    )
    trace_share: float = Field(default=1, ge=0, le=1, description="Share of requests that are traced.")


class PredictionLogSettings(BaseModel, frozen=True, hide_input_in_errors=True):
    """Where every answered prediction is kept, and for how long."""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="SQLite or PostgreSQL, as sqlite:///file or postgresql://user:password@host/database; empty means "
        "the SQLite file .state/prediction_log/predictions.db, which makes itself.",
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(
        default="NORMAL",
        description="What SQLite waits for. NORMAL: a row survives the end of any process. FULL: a power cut too. "
        "PostgreSQL always waits for its disk.",
    )
    enabled: bool = Field(default=True, description="Whether predictions are logged at all.")
    required: bool = Field(
        default=True, description="Whether the service refuses to answer while a prediction cannot be written."
    )
    busy_timeout_seconds: float = Field(
        default=2.0, gt=0, le=60, description="How long to wait for a locked or silent database before giving up."
    )
    retention_days: int = Field(default=90, ge=1, description="Days after which retention moves rows out.")
    export_dir: Path | None = Field(
        default=None, description="Folder for the parquet files; none means .state/prediction_log/exported."
    )
    export_url: str = Field(
        default="",
        description="Where the files go on from that folder, such as s3://bucket/predictions; on AWS they must. Empty: "
        "they stay.",
    )
    room_bytes: int = Field(
        default=0,
        ge=0,
        description="How large the database may become, for the forecast of when it is full; 0: not known. A SQLite "
        "file's disk tells it.",
    )


class ScheduleSettings(BaseModel, frozen=True):
    """When Prefect starts each flow by itself: five fields of cron; empty means never."""

    timezone: str = Field(default="UTC", description="Time zone of the schedules, such as Europe/Berlin.")
    materialise: str = Field(default="5 * * * *", description="Bring features and online store up to the event clock.")
    labels: str = Field(default="10 * * * *", description="Join what became known to the logged predictions.")
    monitoring: str = Field(default="30 5 * * *", description="Judge the logged predictions and decide.")
    canary: str = Field(default="20 * * * *", description="Judge what runs beside the champion.")
    data_check: str = Field(default="40 * * * *", description="Look whether data.dvc names what was not yet learned.")
    retention: str = Field(default="50 3 * * *", description="Move old predictions out of the log.")
    training: str = Field(default="0 4 * * 1", description="Train, whatever monitoring says.")


class AlertSettings(BaseModel, frozen=True, hide_input_in_errors=True):
    """Where a message goes when monitoring asks for a retraining, a run fails or the gate refuses."""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="Of Apprise: jsons://host/path for a webhook, mailtos://user:password@host for mail; "
        "empty: no alert is sent.",
    )


class PageSettings(BaseModel, frozen=True):
    """Where the tools' own pages listen, all of them on 127.0.0.1 alone: `make ui`, and the server of `make worker`."""

    port: int = Field(default=8900, ge=1, le=65535, description="The page that links the others.")
    mlflow_port: int = Field(default=5000, ge=1, le=65535, description="MLflow.")
    prefect_port: int = Field(default=4200, ge=1, le=65535, description="Prefect's server, with its API.")
    evidently_port: int = Field(default=8001, ge=1, le=65535, description="Evidently.")
    feast_port: int = Field(default=8888, ge=1, le=65535, description="Feast.")
    start_seconds: float = Field(default=180, gt=0, description="Time for all of them to answer.")


class SigningSettings(BaseModel, frozen=True):
    """Who signs models when they are registered, and whose signature the service believes; docs/security.md."""

    key: str = Field(
        default="",
        description="What signs: a PEM file with a P-256 private key, or awskms:///<key id or ARN>; empty: "
        ".state/signing/key.pem, which the first registration makes, in the profile local only.",
    )
    public_key: str = Field(
        default="",
        description="Whom the service believes: public keys as PEM text, or a file of them; more than one while keys "
        "change. Empty: .state/signing/public.pem, in the profile local only.",
    )


class DatabasesSettings(BaseModel, frozen=True, hide_input_in_errors=True):
    """What makes the PostgreSQL databases of a place with one server for all; only that command reads it."""

    admin_url: SecretStr = Field(
        default=SecretStr(""), description="PostgreSQL as its administrator: postgresql://user@host/database."
    )
    admin_password: SecretStr = Field(default=SecretStr(""), description="The administrator's password.")
    passwords: dict[str, SecretStr] = Field(
        default={}, description="By database to make, the password of the user of the same name, who owns it."
    )
    readers: dict[str, SecretStr] = Field(
        default={}, description="By database, the password of a user NAME_reader, who may read its tables and no more."
    )


class Settings(BaseSettings):
    """Where the project runs.

    Examples
    --------
    >>> Settings(root="/srv/project").state_dir.as_posix()
    '/srv/project/.state'
    """

    model_config = SettingsConfigDict(
        env_prefix="FLIGHTLINE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # it may hold a password
    )

    root: Path = Field(default_factory=Path.cwd, description="The clone: holds data.dvc and feature_repo/.")
    profile: Literal["local", "stack", "aws"] = Field(
        default="local", description="The kind of place: embedded, local servers, or AWS."
    )
    clock: Literal["set", "real"] = Field(
        default="set",
        description="'set': .state/clock.json says where the event clock stands, and `make clock` moves it; 'real': it "
        "is the time of day, whatever the file says.",
    )
    problem_package: str = Field(
        default="flightline.problem", description="The package of the problem; the machine's own tests name a toy one."
    )
    commit: str = Field(
        default="",
        description="The git commit of this code where there is no git, as in images; -dirty at its end: files differ.",
    )
    dvc_remote_url: str = Field(default="", description="The DVC remote: s3://bucket/data; empty: .dvc/config's.")
    mlflow_tracking_uri: str = Field(
        default="", description="MLflow server; empty means the SQLite file .state/mlflow/mlflow.db."
    )
    monitoring_url: str = Field(
        default="",
        description="Where monitoring copies its pages and decisions, such as s3://bucket/monitoring; empty: they stay "
        "in .state/monitoring.",
    )
    cloudwatch_namespace: str = Field(
        default="",
        description="Namespace in CloudWatch of what the alert rules rest on and of monitoring's gauges, which are "
        "logged as CloudWatch reads them; empty: they are not.",
    )
    threads: int = Field(default=2, ge=1, description="Threads that DuckDB and the fits may use.")
    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb", description="What computes features and joins; 'spark' needs its package and Java."
    )
    duckdb: DuckDBSettings = Field(default=DuckDBSettings(), description="Bounds of DuckDB.")
    spark: SparkSettings = Field(default=SparkSettings(), description="Spark, if it is the engine.")
    dask: DaskSettings = Field(default=DaskSettings(), description="Dask, where `make tune` fits on a cluster.")
    serving: ServingSettings = Field(default=ServingSettings(), description="The prediction service.")
    prediction_log: PredictionLogSettings = Field(default=PredictionLogSettings(), description="The prediction log.")
    schedules: ScheduleSettings = Field(default=ScheduleSettings(), description="When Prefect starts what.")
    alerts: AlertSettings = Field(default=AlertSettings(), description="Messages to people.")
    pages: PageSettings = Field(default=PageSettings(), description="The tools' own pages.")
    signing: SigningSettings = Field(default=SigningSettings(), description="Signatures of models.")
    databases: DatabasesSettings = Field(default=DatabasesSettings(), description="Databases to make.")

    @model_validator(mode="after")
    def _refuse_relative_root(self) -> "Settings":
        if not self.root.is_absolute():
            raise ValueError(f"root must be an absolute path, got {self.root}")
        return self

    @property
    def data_dir(self) -> Path:
        """The DVC-tracked raw data."""
        return self.root / "data"

    @property
    def feature_repo(self) -> Path:
        """The folder of Feast declarations."""
        return self.root / "feature_repo"

    @property
    def state_dir(self) -> Path:
        """Everything the tools write inside the clone; git-ignored."""
        return self.root / ".state"

    @property
    def features_dir(self) -> Path:
        """Feature tables, one folder for each version, and the link `current`."""
        return self.state_dir / "features"

    @property
    def duckdb_limits(self) -> dict[str, str]:
        """What each connection of DuckDB may take, in DuckDB's own names."""
        return self.duckdb.limits(self.state_dir / "spill")

    @property
    def clock_file(self) -> Path:
        """Where the event clock stands, when it is set."""
        return self.state_dir / "clock.json"

    @property
    def serving_models_dir(self) -> Path:
        """Where the service finds its model."""
        return self.serving.models_dir or self.state_dir / "serving"

    @property
    def prediction_log_file(self) -> Path:
        """The SQLite file of predictions, where no other database is named."""
        return self.state_dir / "prediction_log" / "predictions.db"

    @property
    def prediction_exports_dir(self) -> Path:
        """Where rows go that the prediction log no longer keeps."""
        return self.prediction_log.export_dir or self.state_dir / "prediction_log" / "exported"

    @property
    def api_keys_file(self) -> Path:
        """Digests of the service's API keys."""
        return self.state_dir / "api_keys.json"

    @property
    def signing_dir(self) -> Path:
        """The key pair that signs models, where no other is named."""
        return self.state_dir / "signing"

    @property
    def metrics_root(self) -> Path:
        """Where each running service has a folder of its metrics."""
        return self.serving.metrics_dir or self.state_dir / "metrics"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI to use."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.state_dir / 'mlflow' / 'mlflow.db'}"
