"""The layer that a class activation map is read at is the same however a network is written, and nothing is left on the network."""

from __future__ import annotations

import pytest
import torch
from captum.attr import LayerActivation
from torch import nn
from torch.nn import functional

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.activations import activation_at
from attrlab.side_effects import hooks_of
from synthetic import environment_ids, make_environment


def drawn(module, generator):
    """The module in float64, its parameters drawn."""
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    return module


class Chain(nn.Module):
    """conv - relu - conv - relu - linear, written in five ways."""

    def __init__(self, style):
        super().__init__()
        self.style = style
        self.first, self.second = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 2, stride=2)
        self.relu, self.again, self.inplace = nn.ReLU(), nn.ReLU(), nn.ReLU(inplace=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        rectify = {
            "modules": (self.relu, self.again),
            "reused": (self.relu, self.relu),
            "functional": (functional.relu, lambda z: z.clamp(min=0)),
            "in place": (self.inplace, lambda z: z.relu_()),
            "residual": (self.relu, lambda z: 0.5 * z + (self.relu(z) - 0.5 * z)),
        }[self.style]
        z = rectify[1](self.second(rectify[0](self.first(x))))
        return self.head(z.flatten(1))


STYLES = ("modules", "reused", "functional", "in place", "residual")


def chain(style):
    return drawn(Chain(style), torch.Generator().manual_seed(5))


def images(generator, batch=3):
    return torch.randn(batch, 2, 4, 4, generator=generator, dtype=torch.float64), torch.arange(batch) % 2


@pytest.mark.parametrize("style", STYLES)
def test_the_last_map_is_the_last_rectified_convolution_however_it_is_written(style, generator):
    inputs, target = images(generator)
    model = chain(style)
    found = activation_at(model, inputs, target=target)
    expected = model.second(model.first(inputs).relu()).relu()
    torch.testing.assert_close(found.values, expected.detach())
    torch.testing.assert_close(found.slopes, model.head.weight[target].view(3, 4, 2, 2).detach())


def test_slopes_are_finite_differences_at_the_layer(generator):
    inputs, target = images(generator, batch=1)
    model = chain("modules")
    found = activation_at(model, inputs, target=target, layer="first")
    h = 1e-6
    for index in [(0, 0, 0, 0), (0, 1, 2, 3), (0, 2, 3, 1)]:

        def shifted(by, index=index):
            moved = found.values.clone()
            moved[index] += by
            return model.head(model.second(moved.relu()).relu().flatten(1))[0, target[0]].detach()

        # rounding 1e-15 / 1e-6; the function is piecewise linear
        assert float((shifted(h) - shifted(-h)) / (2 * h)) == pytest.approx(float(found.slopes[index]), abs=1e-8)


@pytest.mark.parametrize("layer", ["first", "second", "again"])
def test_a_named_layer_is_what_captum_sees_there(layer, generator):
    inputs, target = images(generator)
    model = chain("modules")
    expected = LayerActivation(model, model.get_submodule(layer)).attribute(inputs)
    torch.testing.assert_close(activation_at(model, inputs, target=target, layer=layer).values, expected.detach())


def test_an_activation_in_place_after_a_named_layer_leaves_its_output_alone(generator):
    inputs, target = images(generator)
    before = activation_at(chain("modules"), inputs, target=target, layer="first")
    after = activation_at(chain("in place"), inputs, target=target, layer="first")
    assert float(before.values.min()) < 0
    torch.testing.assert_close(after.values, before.values)
    torch.testing.assert_close(after.slopes, before.slopes)


def test_a_reused_module_means_its_last_call(generator):
    inputs, target = images(generator)
    found = activation_at(chain("reused"), inputs, target=target, layer="relu")
    torch.testing.assert_close(found.values, activation_at(chain("modules"), inputs, target=target, layer="again").values)


class Branches(nn.Module):
    """A map of which nothing is read, a padded map, and a product of attention's shape, after the map that counts."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 3, 1), nn.Linear(3 * 36, 2)

    def forward(self, x):
        z = self.conv(x)
        self.unread = functional.avg_pool2d(z, 2)
        tokens = z.flatten(2)
        scores = (tokens.unsqueeze(1).transpose(2, 3) @ tokens.unsqueeze(1)) * 0.5  # (batch, 1, 16, 16): positions of no image
        return self.head(functional.pad(z, (1, 1, 1, 1)).flatten(1)) + 0 * scores.sum((1, 2, 3)).unsqueeze(1)


def test_unread_padded_and_attention_shaped_results_are_passed_over(generator):
    inputs, target = images(generator)
    model = drawn(Branches(), generator)
    torch.testing.assert_close(activation_at(model, inputs, target=target).values, model.conv(inputs).detach())


def test_of_branches_side_by_side_the_last_one_is_read(generator):
    inputs, target = images(generator)
    one, other = drawn(nn.Conv2d(2, 2, 1), generator), drawn(nn.Conv2d(2, 2, 1), generator)
    found = activation_at(lambda x: one(x).mean((2, 3)) + other(x).mean((2, 3)), inputs, target=target)
    torch.testing.assert_close(found.values, other(inputs).detach())


def test_a_channel_shuffle_does_not_end_the_search(generator):
    inputs, target = images(generator)
    conv, last, head = (drawn(m, generator) for m in (nn.Conv2d(2, 4, 1), nn.Conv2d(4, 2, 1), nn.Linear(32, 2)))

    def shuffled(x):
        return conv(x).view(-1, 2, 2, 4, 4).transpose(1, 2).reshape(-1, 4, 4, 4)

    found = activation_at(lambda x: head(last(shuffled(x)).flatten(1)), inputs, target=target)
    torch.testing.assert_close(found.values, last(shuffled(inputs)).detach())


def test_positions_that_only_parameters_have_are_passed_over(generator):
    inputs, target = images(generator)
    conv, place = drawn(nn.Conv2d(2, 2, 1), generator), nn.Parameter(torch.ones(1, 2, 4, 4, dtype=torch.float64))
    found = activation_at(lambda x: conv(x).mean((2, 3)) + (place.expand(len(x), -1, -1, -1) * 2).sum((2, 3)), inputs, target=target)
    torch.testing.assert_close(found.values, conv(inputs).detach())


def test_an_output_that_reads_nothing_has_slopes_of_zero(generator):
    inputs, target = images(generator)
    conv = drawn(nn.Conv2d(2, 2, 1), generator)

    def model(x):
        conv(x)
        return torch.ones(len(x), 2, dtype=x.dtype)

    assert torch.count_nonzero(activation_at(model, inputs, target=target).slopes) == 0
    assert (
        torch.count_nonzero(activation_at(lambda x: conv(x).detach().mean((2, 3)) + 0 * conv(x).sum(), inputs, target=target).slopes) == 0
    )


def test_a_function_of_a_graph_is_read_at_its_last_node_features(generator):
    graphs = torch.rand(2, 3, 5, generator=generator, dtype=torch.float64)  # [A | X], three nodes, two features
    found = activation_at(lambda x: (x[..., :3] @ x[..., 3:]).relu().sum(1), graphs, target=torch.tensor([0, 1]))
    torch.testing.assert_close(found.values, (graphs[..., :3] @ graphs[..., 3:]).movedim(2, 1))
    torch.testing.assert_close(found.slopes, torch.eye(2, dtype=torch.float64)[:, :, None].expand(2, 2, 3))


def test_an_unknown_layer_is_told_with_the_nearest_name(generator):
    inputs, target = images(generator)
    with pytest.raises(InvalidInput, match="no module 'secnd'; did you mean 'second'"):
        activation_at(chain("modules"), inputs, target=target, layer="secnd")
    with pytest.raises(InvalidInput, match="leave layer=None for a function"):
        activation_at(lambda x: x.sum((2, 3)), inputs, target=target, layer="conv")


def test_a_layer_without_positions_is_refused_with_its_shape(generator):
    inputs, target = images(generator)
    with pytest.raises(NotApplicable, match=r"must return \(batch, channels, height, width\) with positions.*got \(3, 2\)"):
        activation_at(chain("modules"), inputs, target=target, layer="head")
    with pytest.raises(NotApplicable, match="got no call"):
        activation_at(chain("modules"), inputs, target=target, layer="inplace")


def test_a_network_or_a_row_without_positions_is_refused(generator):
    inputs, target = images(generator)
    head = drawn(nn.Linear(32, 2), generator)
    with pytest.raises(NotApplicable, match="no call of the network has a result with more than one position"):
        activation_at(lambda x: head(x.flatten(1)), inputs, target=target)
    with pytest.raises(NotApplicable, match="needs positions"):
        activation_at(head, inputs.flatten(1), target=target)


def test_a_map_that_is_written_over_without_a_trace_is_refused(generator):
    inputs, target = images(generator)
    conv = drawn(nn.Conv2d(2, 2, 1), generator)

    def model(x):
        z = conv(x)
        z.flatten(1)[:, 0] = 0.0
        return z.mean((2, 3))

    with pytest.raises(NotApplicable, match="written over later"):
        activation_at(model, inputs, target=target)


def test_no_hook_is_left_whatever_happens(generator):
    inputs, target = images(generator)
    model = chain("modules")
    activation_at(model, inputs, target=target, layer="first")
    with pytest.raises(IndexError):
        activation_at(model, inputs, target=target + 9, layer="first")
    assert hooks_of(model) == []


@pytest.mark.parametrize("modality", ["image", "graph"])
def test_every_world_of_images_and_graphs_has_a_layer_with_positions(modality):
    found = {}
    for id in environment_ids():
        environment = make_environment(id)
        if environment.modality == modality:
            batch = environment.sample(2, torch.Generator().manual_seed(0))
            at = activation_at(environment.model, batch.inputs, target=batch.target)
            found[id] = at.values[0, 0].numel()
            assert at.values.shape == at.slopes.shape
    assert len(found) >= 20
    assert min(found.values()) > 1
