"""Skips as failures: where everything that a test needs can be installed, as in CI, a skip would hide a test."""

from collections.abc import Generator

import pytest

OPTION = "--forbid-skips"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="a test that is skipped fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption(OPTION):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which {OPTION} forbids: {report.longreprtext}"
    return report
