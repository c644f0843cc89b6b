"""`look`, `doctor` and `attach` before a broker that is slow, shut, strange or partly forbidden: it works, or one line says why."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from tests.conftest import Valkey, free_port
from tests.tcp_relay import OneAnswer, Relay, certificate
from tests.waiting import eventually

from levqor.cli import main
from levqor.cli.attach import attach_options
from levqor.cli.doctor import check_broker
from levqor.domain.errors import UsageError
from levqor.engines.broker import address_of
from levqor.engines.rq import RqEngine
from levqor.host import SystemClock
from levqor.settings import load

SECRET = "hunter2-is-secret"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Look = Callable[..., Said]


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Look:
    """`levqor look URL`, in this process."""

    def run(url: str, *options: str) -> Said:
        capsys.readouterr()
        code = main(["look", url, *options])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def broker(store_url: str) -> str:
    """A broker with one queue of three jobs, and a password."""
    with redis.Redis.from_url(store_url) as client:
        queue = Queue("high", connection=client)
        for _ in range(3):
            queue.enqueue("operator.add", 1, 2)
    return store_url


@pytest.fixture
def password(shared_valkey: Valkey) -> str:
    return shared_valkey.password


@pytest.fixture
def reader(shared_valkey: Valkey) -> Iterator[Callable[[str], str]]:
    """A URL with a user that has these rights and no other."""

    def url(rights: str) -> str:
        with shared_valkey.client as client:
            client.execute_command("ACL", "SETUSER", "reader", "reset", "on", f">{SECRET}", *rights.split())
        return f"redis://reader:{SECRET}@127.0.0.1:{shared_valkey.port}/0"

    yield url
    with shared_valkey.client as client:
        client.acl_deluser("reader")


def waiting(said: Said) -> dict[str, int]:
    assert said.code == 0, said.err
    return {queue["name"]: queue["waiting"] for queue in json.loads(said.out)["queues"]}


def refused(said: Said, *words: str, code: int = 69) -> None:
    """One line on standard error, nothing else, and it says what is the matter."""
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("levqor: the ")
    assert said.err.count("\n") == 1, said.err
    for word in words:
        assert word in said.err


def test_a_broker_that_answers_slowly_is_looked_at(look: Look, broker: str, shared_valkey: Valkey, password: str) -> None:
    relay = Relay(shared_valkey.port, delay_s=0.11)
    try:
        said = look(f"redis://:{password}@127.0.0.1:{relay.port}/0", "--json")
    finally:
        relay.close()
    assert waiting(said) == {"high": 3}
    assert "latency" in {finding["code"] for finding in json.loads(said.out)["findings"]}


def test_one_that_does_not_answer_in_time_is_given_up(look: Look, valkey: Valkey) -> None:
    valkey.pause()
    try:
        refused(look(f"{valkey.url}?socket_timeout=0.2"), "did not answer in time", "socket_timeout=10")
    finally:
        valkey.resume()


def test_one_that_stops_answering_halfway_is_given_up(look: Look, broker: str, shared_valkey: Valkey, password: str) -> None:
    relay = Relay(shared_valkey.port, delay_s=0.5)
    try:
        refused(look(f"redis://:{password}@127.0.0.1:{relay.port}/0?socket_timeout=0.2"), "did not answer in time")
    finally:
        relay.close()


def test_a_shut_port_refuses(look: Look) -> None:
    refused(look(f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"), "refuses the connection", "is the server running")


def test_a_host_that_does_not_exist(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(look(f"redis://:{SECRET}@no-such-host.invalid:6379/0"), "cannot be found")


def test_a_socket_file_that_is_not_there(look: Look, tmp_path: Path) -> None:
    refused(look(f"unix://{tmp_path}/none.sock"), "no such socket file")


def test_a_missing_password_is_asked_for(look: Look, broker: str, shared_valkey: Valkey) -> None:
    refused(look(f"redis://127.0.0.1:{shared_valkey.port}/0"), "wants a password", "redis://:PASSWORD@")


def test_a_wrong_password_is_refused_and_not_repeated(look: Look, broker: str, shared_valkey: Valkey) -> None:
    refused(look(f"redis://:{SECRET}@127.0.0.1:{shared_valkey.port}/0"), "refuses the user or the password")


def test_a_password_where_there_is_none(look: Look, valkey: Valkey) -> None:
    with valkey.client as client:
        client.config_set("requirepass", "")
    refused(look(f"redis://:{SECRET}@127.0.0.1:{valkey.port}/0"), "has no password", "leave it out")
    assert look(f"redis://127.0.0.1:{valkey.port}/0").code == 0


def test_a_user_without_rights_is_told_which(look: Look, broker: str, reader: Callable[[str], str]) -> None:
    refused(look(reader("+@connection")), "does not let this user read", "command ", "ACL SETUSER NAME ~rq:*")
    refused(look(reader("+@all ~other:*")), "does not let this user read (keys)")


def test_the_rights_that_it_names_suffice_and_none_of_them_writes(look: Look, broker: str, reader: Callable[[str], str]) -> None:
    said = look(reader("~rq:* +@read +@connection +info +time +config|get"), "--json")
    assert waiting(said) == {"high": 3}
    answer = json.loads(said.out)
    assert "unknown" not in {finding["severity"] for finding in answer["findings"]}


def test_what_a_managed_server_does_not_tell_is_unknown_and_not_fine(look: Look, broker: str, reader: Callable[[str], str]) -> None:
    """A broker that forbids CONFIG, INFO and TIME: the queues are there, and no check of the server passes."""
    said = look(reader("~rq:* +@read +@connection"), "--json")
    assert waiting(said) == {"high": 3}
    severities = {finding["code"]: finding["severity"] for finding in json.loads(said.out)["findings"]}
    assert {severities[code] for code in ("version", "eviction", "durability", "memory", "clock")} == {"unknown"}
    assert "unknown: the server does not tell" in look(reader("~rq:* +@read +@connection")).out


def test_snapshots_that_may_not_be_asked_for_are_unknown(look: Look, broker: str, reader: Callable[[str], str]) -> None:
    with redis.Redis.from_url(broker) as client:
        client.config_set("appendonly", "no")
        try:
            said = look(reader("~rq:* +@read +@connection +info +time"), "--json")
        finally:
            client.config_set("appendonly", "yes")
            eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], what="the first append-only file")
    severities = {finding["code"]: finding["severity"] for finding in json.loads(said.out)["findings"]}
    assert severities["durability"] == "unknown"


def test_a_read_only_replica_is_looked_at_and_named(look: Look, broker: str, valkey: Valkey) -> None:
    with valkey.client as client:
        Queue("high", connection=client).enqueue("operator.add", 1, 2)
        client.replicaof("127.0.0.1", str(free_port()))
        with pytest.raises(redis.ReadOnlyError):
            client.set("x", "y")
    said = look(valkey.url, "--json")
    assert waiting(said) == {"high": 1}
    role = next(finding for finding in json.loads(said.out)["findings"] if finding["code"] == "role")
    assert role["severity"] == "warn"
    assert "link to the master is down" in role["text"]


def test_a_database_number_is_heeded(look: Look, broker: str) -> None:
    said = look(f"{broker.removesuffix('/0')}/3", "--json")
    assert waiting(said) == {}
    assert "other databases are not empty: 0 (" in json.loads(said.out)["note"]


def test_a_database_that_does_not_exist_is_a_wrong_address(look: Look, broker: str) -> None:
    refused(look(f"{broker.removesuffix('/0')}/99"), "has no database of that number", code=2)


def test_a_prefix_is_heeded(look: Look, broker: str) -> None:
    with redis.Redis.from_url(broker) as client:
        for key in client.scan_iter():
            name = key.decode()
            client.rename(name, name.replace("rq:", "shop:", 1))
        client.srem("shop:queues", "rq:queue:high")
        client.sadd("shop:queues", "shop:queue:high")
    assert waiting(look(broker, "--json", "--prefix", "shop")) == {"high": 3}
    assert "no RQ under the prefix `rq`" in look(broker).out
    assert look(broker, "--prefix", "a b").code == 2


@pytest.mark.parametrize(
    ("url", "word"),
    [
        pytest.param("http://broker:6379", "expected an address such as", id="another scheme"),
        pytest.param("127.0.0.1:6379", "expected an address such as", id="no scheme"),
        pytest.param("redis://", "cannot be read", id="no host"),
        pytest.param("unix://", "cannot be read", id="no socket"),
        pytest.param(f"redis://:{SECRET}#x@broker:6379/0", "%23", id="a password not encoded"),
        pytest.param(f"redis://:{SECRET}/x@broker:6379/0", "%2F", id="a slash in the password"),
        pytest.param(f"redis://:{SECRET}@broker:70000/0", "cannot be read", id="no such port"),
        pytest.param(f"redis://:{SECRET}@broker:6379/first", "a number", id="a database in words"),
        pytest.param(f"redis://:{SECRET}@broker:6379/0?foo=bar", "an option", id="an unknown option"),
        pytest.param(f"redis://:{SECRET}@broker:6379/0?db=x", "cannot be read", id="a wrong option"),
    ],
)
def test_a_wrong_address_is_a_usage_error(look: Look, url: str, word: str) -> None:
    refused(look(url), word, code=2)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "not as a Redis", id="http"),
        pytest.param(b"* OK IMAP4 ready\r\n", "not as a Redis", id="imap"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x46\r\n", "wants TLS: use rediss://", id="tls alert"),
        pytest.param(b"", "closes the connection", id="closes"),
        pytest.param(b"-LOADING Redis is loading the dataset in memory\r\n", "loading its data", id="loading"),
        pytest.param(b"-MOVED 866 10.0.0.7:6379\r\n", "Redis Cluster", id="cluster"),
        pytest.param(b"-CLUSTERDOWN The cluster is down\r\n", "Redis Cluster", id="cluster down"),
        pytest.param(b"-MASTERDOWN Link with MASTER is down\r\n", "name the master", id="stale replica"),
        pytest.param(b"-ERR max number of clients reached\r\n", "takes no more connections", id="full"),
        pytest.param(b"-DENIED Redis is running in protected mode\r\nmore\r\n", "protected mode", id="protected"),
    ],
)
def test_whatever_answers_there_is_told_in_one_line(look: Look, answer: bytes, word: str) -> None:
    strange = OneAnswer(answer)
    try:
        refused(look(f"redis://127.0.0.1:{strange.port}/0"), word)
    finally:
        strange.close()


def test_tls_is_spoken_and_its_absence_told(look: Look, broker: str, shared_valkey: Valkey, password: str, tmp_path: Path) -> None:
    own, context = certificate(tmp_path)
    relay = Relay(shared_valkey.port, tls=context)
    at = f"127.0.0.1:{relay.port}/0"
    try:
        assert waiting(look(f"rediss://:{password}@{at}?ssl_ca_certs={own}", "--json")) == {"high": 3}
        refused(look(f"rediss://:{password}@{at}"), "certificate that is not trusted", "ssl_ca_certs")
        refused(look(f"redis://:{password}@{at}"), "TLS", "rediss://")
    finally:
        relay.close()
    refused(look(f"rediss://:{password}@127.0.0.1:{shared_valkey.port}/0?socket_timeout=0.3"), "TLS", "redis://")


def test_doctor_says_the_same_of_an_attached_broker(broker: str, shared_valkey: Valkey, reader: Callable[[str], str]) -> None:
    def said(url: str, **more: str) -> dict[str, Any]:
        settings = load(environ={"BROKER_URL": url, "QUEUES": "high", **more}).settings
        return {finding.name: finding for finding in check_broker(settings)}

    found = said(broker)
    assert found["broker"].state == "ok"
    assert found["broker unserved"].state == "fail"
    assert found["broker unserved"].mend.startswith("`rq worker --url ")
    unknown = said(reader("~rq:* +@read +@connection"))
    assert unknown["broker eviction"].state == "warn"
    assert "unknown" in unknown["broker eviction"].detail
    wrong = said(f"redis://:{SECRET}@127.0.0.1:{shared_valkey.port}/0")
    assert list(wrong) == ["broker"]
    assert "refuses the user or the password" in wrong["broker"].detail
    assert SECRET not in wrong["broker"].detail
    assert said(broker, RQ_KEY_PREFIX="shop")["broker missing"].state == "warn"


@pytest.mark.parametrize("url", ["http://broker", "redis://broker/first", f"redis://:{SECRET}#@broker"])
def test_attach_refuses_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UsageError) as refusal:
        attach_options(url, "default")
    assert SECRET not in str(refusal.value)


def depths(url: str, **options: str) -> dict[str, int]:
    """What an attached installation reads of its broker."""
    engine = RqEngine(url, clock=SystemClock(), **options)  # type: ignore[arg-type]
    try:
        assert engine.workers() == []
        assert engine.dead_letters("high") == []
        return {state.name: state.depth for state in engine.queues(engine.queue_names())}
    finally:
        engine.close()


def test_an_attached_engine_reads_with_reading_rights_alone(broker: str, reader: Callable[[str], str]) -> None:
    assert depths(reader("~rq:* ~levqor:* +@read +@connection +info +time")) == {"high": 3}


def test_an_attached_engine_reads_a_replica(broker: str, valkey: Valkey) -> None:
    with valkey.client as client:
        Queue("high", connection=client).enqueue("operator.add", 1, 2)
        client.replicaof("127.0.0.1", str(free_port()))
    assert depths(valkey.url) == {"high": 1}


def test_an_attached_engine_reads_by_tls_and_slowly(broker: str, shared_valkey: Valkey, password: str, tmp_path: Path) -> None:
    own, context = certificate(tmp_path)
    relay = Relay(shared_valkey.port, delay_s=0.05, tls=context)
    try:
        assert depths(f"rediss://:{password}@127.0.0.1:{relay.port}/0?ssl_ca_certs={own}") == {"high": 3}
    finally:
        relay.close()


def test_an_attached_engine_reads_the_database_of_its_address(broker: str) -> None:
    assert depths(f"{broker.removesuffix('/0')}/3") == {}


@pytest.mark.parametrize(
    ("address", "word"),
    [
        pytest.param("redis://127.0.0.1:{shut}/0", "refuses the connection", id="shut"),
        pytest.param("redis://127.0.0.1:{port}/0", "wants a password", id="no password"),
        pytest.param(f"redis://:{SECRET}@127.0.0.1:{{port}}/0", "refuses the user or the password", id="wrong password"),
        pytest.param("redis://:{password}@127.0.0.1:{port}/99", "no database of that number", id="no such database"),
        pytest.param("rediss://:{password}@127.0.0.1:{port}/0?socket_timeout=0.3", "redis://", id="no TLS there"),
        pytest.param("redis://127.0.0.1:{strange}/0", "not as a Redis", id="no Redis"),
    ],
)
def test_attach_says_in_one_line_why_the_broker_is_unknown_and_goes_on(
    broker: str,
    shared_valkey: Valkey,
    password: str,
    address: str,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """P7, S3: whatever the team's broker does, the service stands; the queues are unknown until it answers."""
    strange = OneAnswer(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    begun: list[object] = []

    def run_up(configuration: object, *_: object) -> int:
        begun.append(configuration)
        return 0

    monkeypatch.setattr("levqor.cli.up.run_up", run_up)
    try:
        url = address.format(shut=free_port(), port=shared_valkey.port, password=password, strange=strange.port)
        assert main(["attach", "--redis", url, "--queues", "high"]) == 0
    finally:
        strange.close()
    said = capsys.readouterr()
    assert len(begun) == 1
    assert said.err.count("\n") == 1
    assert word in said.err
    assert "unknown until it does" in said.err
    assert password not in said.err
    assert SECRET not in said.err


def test_attach_refuses_an_option_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attach", "--redis", f"redis://:{SECRET}@127.0.0.1:1/0?foo=bar"]) == 2
    said = capsys.readouterr().err
    assert "an option" in said
    assert SECRET not in said


def test_the_address_never_shows_its_password() -> None:
    address = address_of(f"redis://user:{SECRET}@broker:6380/2")
    assert (address.place, address.typed) == ("redis://broker:6380/2", '"$REDIS_URL"')
    assert SECRET not in repr(address)
