"""Tasks: the menu's, a user's file or factory, and what is refused."""

from pathlib import Path

import pytest

from init_bench import InitBenchError, datasets
from init_bench.comparison.bench.tasks import TASKS, Task, chance_loss, checked, tasks_from


@pytest.mark.parametrize("name", TASKS)
def test_a_task_of_the_menu_is_one_cell_and_nine_rates_over_four_decades(name: str) -> None:
    task = checked(TASKS[name])
    assert len(task.grid("torch.default", task.first_rates[0]).cells) == 1
    assert len(task.first_rates) == 9
    assert task.first_rates[-1] / task.first_rates[0] == pytest.approx(1e4, rel=1e-3)


def test_a_file_describes_tasks_by_axes_of_a_grid(tmp_path: Path) -> None:
    path = tmp_path / "tasks.toml"
    path.write_text(
        '[[task]]\nname = "wide"\nwidth = 200\nsteps = 80\nrates = [0.1, 0.01, 1.0]\n'
        '[[task]]\nname = "flat"\nmodel = "torch.nn:Flatten"\n'
    )
    wide, flat = tasks_from([str(path)])
    assert wide.axes == {"width": 200}
    assert wide.first_rates == (0.01, 0.1, 1.0)
    assert wide.steps == 80
    assert flat.grid("zeros", 0.1).model == ("torch.nn:Flatten",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "describes no task"),
        ("task = 3", "describes no task"),
        ("[[task]]\nwidth = 3", "a task needs a name"),
        ('[[task]]\nname = "a"\nwidht = 3', "unknown key 'widht': did you mean 'width'"),
        ('[[task]]\nname = "a"\nrates = [0.1]', "task 'a': rates must be at least 3 different"),
        ('[[task]]\nname = "a"\nrates = [0.1, 0.1, 0.1]', "at least 3 different ones"),
        ('[[task]]\nname = "a"\nrates = [0.0, 0.1, 1.0]', "above 0"),
        ('[[task]]\nname = "a"\nrates = 0.1', "rates must be a list"),
        ('[[task]]\nname = "a"\nactivation = "rellu"', "task 'a': activation: unknown"),
        ('[[task]]\nname = "a"\nwidth = [3, 4]', "several values of an axis"),
        ('[[task]]\nname = "a"\nseed = 3', "seed is no axis of a task"),
        ('[[task]]\nname = "a"\nsteps = 3', "steps of task 'a' must be an integer of at least 40"),
        ('[[task]]\nname = "a"\n[[task]]\nname = "a"', "task 'a' is given twice"),
        ("[[task", "cannot read task file"),
        ("width = 1" + 5000 * "0", "cannot read task file"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tasks.toml"
    path.write_text(text)
    with pytest.raises(InitBenchError, match=message):
        tasks_from([str(path)])


def test_an_unknown_task_is_shown_with_the_nearest() -> None:
    with pytest.raises(InitBenchError, match="unknown task 'lenett': did you mean 'lenet'"):
        tasks_from(["lenett"])
    with pytest.raises(InitBenchError, match="give a list of names"):
        tasks_from("lenet")
    with pytest.raises(InitBenchError, match="no task is given"):
        tasks_from([])


def test_chance_is_the_loss_of_a_constant_output() -> None:
    assert chance_loss(datasets.load("mnist_short_test")) == pytest.approx(2.302585)
    pixels = datasets.load("mnist_pixels")
    assert chance_loss(pixels) == pytest.approx(float(pixels.targets.var(correction=0)))


def test_rates_may_be_given_in_any_order() -> None:
    assert Task(name="a", architecture="", rates=(1.0, 0.1)).first_rates == (0.1, 1.0)
