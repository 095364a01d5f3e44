"""Skips as failures: where everything that a test needs can be installed, as in CI, a skip would hide a test."""

from collections.abc import Generator
from typing import TypeVar

import pytest

OPTION = "--forbid-skips"
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="a test that is skipped fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged(item, (yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged(collector, (yield))


def _judged(node: pytest.Item | pytest.Collector, report: Report) -> Report:
    if report.skipped and node.config.getoption(OPTION):
        report.outcome = "failed"
        report.longrepr = f"{node.nodeid} was skipped, which {OPTION} forbids: {report.longreprtext}"
    return report
