from spikeproof.core.progress import SILENT


def test_silent_tracker_prints_nothing(capsys):
    with SILENT.task("attack", total=2) as task:
        task.advance()
        task.advance(1, note="half-way")
    assert capsys.readouterr() == ("", "")
