"""Legends below figures stay within them."""

import pytest

from lcsc.report.style import add_legend, new_figure


@pytest.mark.parametrize(("letters", "expected"), [(4, 5), (12, 3), (22, 2), (50, 1)])
def test_a_legend_has_as_many_columns_as_fit(letters, expected):
    figure = new_figure(width=8.4, height=3.8)
    axes = figure.subplots()
    for index in range(5):
        axes.plot([0, 1], [index, index], label="m" * letters)
    add_legend(figure, axes, columns=5)
    (legend,) = figure.legends
    figure.draw_without_rendering()
    assert legend._ncols == expected
    assert legend.get_window_extent().width <= figure.bbox.width
