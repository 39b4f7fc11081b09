from {{ cookiecutter.package_name }}.http_client.layers.base import Call


def test_end_of_a_call() -> None:
    """A call's callbacks run once, those of the innermost layer first."""
    call = Call("up", deadline=0, streamed=False)
    ran: list[tuple[str, BaseException | None]] = []
    call.on_end(lambda failure: ran.append(("outer", failure)))
    call.on_end(lambda failure: ran.append(("inner", failure)))
    failure = ConnectionError()
    call.end(failure)
    call.end(None)

    assert ran == [("inner", failure), ("outer", failure)]
