"""Methods that ask the game for coalitions, with what each says of itself."""

from __future__ import annotations

from functools import partial

from attrlab.claims import Claim, holds, violates
from attrlab.method import Method
from attrlab.methods.coalitions import banzhaf, feature_alone, occlusion, shapley
from attrlab.methods.interactions import shapley_main_effects
from attrlab.methods.linear_surrogates import kernel_shap, lime, lime_lasso
from attrlab.methods.registered.reasons import ONLY_THE_GAME
from attrlab.methods.registered.theory import register
from attrlab.methods.rise import rise, rise_players
from attrlab.methods.sampling import banzhaf_sampling, shapley_sampling
from attrlab.methods.windows import occlusion_windows

_REDRAWN = "in expectation; draws differ between equal players, and the difference shrinks as more are drawn"
_NULL = "a null player's contributions are all 0"
_SAME_GAME = holds("implementation_invariance", because=ONLY_THE_GAME)
_LEAST_SQUARES_BIAS = "a linear fit to an AND of two others gives a null feature a coefficient, under all masks and exact weights"


def _of_a_mean(mean: str, *, complete: Claim) -> tuple[Claim, ...]:
    """The claims of a value that is a mean of marginal contributions over coalitions weighted by size."""
    return (
        holds("completeness", given=("additive",), because="for f = Σ g_i(x_i) every contribution of i is g_i(x_i) - g_i(x'_i)"),
        complete,
        holds("dummy", because=_NULL),
        _SAME_GAME,
        holds("symmetry", because=mean),
    )


register(
    Method(
        name="occlusion",
        attribute=occlusion,
        convention="removal",
        reference="Zeiler, Fergus (2014), section 4.2; one player at a time",
        cost="players + 1 forwards",
        cost_class="linear",
        claims=(
            holds("completeness", given=("additive",), because="for f = Σ g_i(x_i) removing i costs g_i(x_i) - g_i(x'_i)"),
            violates("completeness", witness="or-witness-v1", because="of two redundant features neither is missed alone"),
            holds("dummy", because=ONLY_THE_GAME),
            _SAME_GAME,
            holds("symmetry", because="removing i and removing j have the same value where f is symmetric"),
        ),
    )
)

register(
    Method(
        name="occlusion_windows",
        attribute=occlusion_windows,
        convention="removal",
        modalities=frozenset({"image"}),
        reference="Zeiler, Fergus (2014), section 4.2; a window that slides",
        cost="windows + 1 forwards",
        cost_class="linear",
        claims=(
            violates(
                "completeness", witness="colour-or-v1", because="of two redundant pixels in different windows neither is missed alone"
            ),
            violates("dummy", witness="positions-witness-v1", because="a pixel gets the effect of whatever shares its windows"),
            _SAME_GAME,
            violates("symmetry", witness="colour-count-v1", because="equal pixels have different neighbours"),
        ),
    )
)

register(
    Method(
        name="feature_alone",
        attribute=feature_alone,
        convention="removal",
        reference="Covert, Lundberg, Lee (2021), section 6.1; v({i}) - v(∅)",
        cost="players + 1 forwards",
        cost_class="linear",
        claims=_of_a_mean(
            "i alone and j alone have the same value where f is symmetric",
            complete=violates("completeness", witness="null-beside-and-witness-v1", because="neither half of an AND does anything alone"),
        ),
    )
)

register(
    Method(
        name="shapley",
        attribute=shapley,
        convention="shapley",
        reference="Shapley (1953); baseline Shapley, Sundararajan, Najmi (2020), section 3",
        cost="2^players forwards, of players that differ from the baseline",
        cost_class="exponential",
        claims=(
            holds("completeness", because="efficiency (Shapley 1953)"),
            holds("dummy", because="null player (Shapley 1953)"),
            _SAME_GAME,
            holds("symmetry", because="symmetry (Shapley 1953)"),
        ),
    )
)

register(
    Method(
        name="shapley_sampling",
        attribute=shapley_sampling,
        convention="shapley",
        reference="Castro, Gómez, Tejada (2009), section 3; antithetic orders, Mitchell et al. (2022)",
        cost="samples × players forwards, 25 orders by default",
        cost_class="sampling",
        budget="samples",
        light={"samples": 4},
        claims=(
            holds("completeness", because="the contributions along each order add up to f(x) - f(x')"),
            holds("dummy", because=_NULL),
            _SAME_GAME,
            holds("symmetry", because=_REDRAWN),
        ),
    )
)

register(
    Method(
        name="kernel_shap",
        attribute=kernel_shap,
        convention="shapley",
        reference="Lundberg, Lee (2017), theorem 2; constraint and pairs, Covert, Lee (2021)",
        cost="samples + 2 players forwards, 2048 samples by default, or 2^players where they are fewer",
        cost_class="sampling",
        budget="samples",
        light={"samples": 64},
        claims=(
            holds("completeness", because="the fit is constrained to it"),
            holds("dummy", because="in the limit, and exactly where all coalitions are asked: the fit is the Shapley value (theorem 2)"),
            _SAME_GAME,
            holds("symmetry", because=_REDRAWN),
        ),
    )
)

register(
    Method(
        name="lime",
        attribute=lime,
        reference="Ribeiro, Singh, Guestrin (2016), equation 2; ridge, as in the authors' code",
        cost="samples forwards, 5000 by default, or 2^players where they are fewer",
        cost_class="sampling",
        budget="samples",
        light={"samples": 64},
        claims=(
            violates("completeness", witness="or-witness-v1", because="the fit near x is flat where f saturates, and has an intercept"),
            violates("dummy", witness="null-beside-and-witness-v1", because=_LEAST_SQUARES_BIAS),
            _SAME_GAME,
            holds("symmetry", because=_REDRAWN),
        ),
    )
)

register(
    Method(
        name="lime_unpenalised",
        attribute=partial(lime, alpha=0.0),
        reference="Ribeiro, Singh, Guestrin (2016), equation 2 without Ω: weighted least squares",
        cost="samples forwards, 5000 by default, or 2^players where they are fewer",
        cost_class="sampling",
        budget="samples",
        light={"samples": 256},
        claims=(
            holds("completeness", given=("additive",), because="the fit of an additive game is the game"),
            violates("completeness", witness="or-witness-v1", because="the fit near x is flat where f saturates, and has an intercept"),
            violates("dummy", witness="null-beside-and-witness-v1", because=_LEAST_SQUARES_BIAS),
            _SAME_GAME,
            holds("symmetry", because=_REDRAWN),
        ),
    )
)

register(
    Method(
        name="lime_lasso",
        attribute=lime_lasso,
        reference="Ribeiro, Singh, Guestrin (2016), algorithm 1, with a penalty in place of K; Captum's default",
        cost="samples forwards, 5000 by default, or 2^players where they are fewer",
        cost_class="sampling",
        budget="samples",
        light={"samples": 64},
        claims=(
            violates("completeness", witness="or-witness-v1", because="the penalty takes what is left of two redundant features"),
            violates("dummy", witness="interacting-v1", because=_LEAST_SQUARES_BIAS),
            _SAME_GAME,
            holds("symmetry", because=_REDRAWN, tolerance=1e-3, origin="noise of 5000 masks in the penalty's share, 1/70 of 1/20"),
        ),
    )
)

register(
    Method(
        name="rise",
        attribute=rise,
        modalities=frozenset({"image"}),
        reference="Petsiuk, Das, Saenko (2018), equation 6",
        cost="samples forwards, 4000 by default",
        cost_class="sampling",
        budget="samples",
        light={"samples": 64},
        claims=(
            violates("completeness", witness="colour-or-v1", because="a mean of answers, not of differences"),
            violates(
                "dummy", witness="positions-witness-v1", because="a pixel that does nothing gets the mean answer, and its neighbours'"
            ),
            _SAME_GAME,
            violates("symmetry", witness="colour-count-v1", because="equal pixels have different neighbours, with which they share cells"),
        ),
    )
)

register(
    Method(
        name="rise_players",
        attribute=rise_players,
        reference="Petsiuk, Das, Saenko (2018), equation 6; a coin for each player",
        cost="samples forwards, 4000 by default, or 2^players where they are fewer",
        cost_class="sampling",
        budget="samples",
        light={"samples": 64},
        claims=(
            violates("completeness", witness="or-witness-v1", because="a mean of answers, not of differences"),
            violates("dummy", witness="null-beside-and-witness-v1", because="a null player gets the mean answer"),
            _SAME_GAME,
            holds("symmetry", because=_REDRAWN),
        ),
    )
)

register(
    Method(
        name="banzhaf",
        attribute=banzhaf,
        reference="Banzhaf (1965); Wang, Jia (2023), definition 3",
        cost="2^players forwards, of players that differ from the baseline",
        cost_class="exponential",
        claims=_of_a_mean(
            "a mean over coalitions that treats players alike",
            complete=violates(
                "completeness",
                witness="parity-v1",
                because="contributions of either sign cancel, where the Shapley value weighs them by size",
            ),
        ),
    )
)

register(
    Method(
        name="banzhaf_sampling",
        attribute=banzhaf_sampling,
        reference="Wang, Jia (2023), equation 4 (maximum sample reuse)",
        cost="samples forwards, 2048 by default, or 2^players where they are fewer",
        cost_class="sampling",
        budget="samples",
        light={"samples": 64},
        claims=(
            violates(
                "completeness",
                witness="parity-v1",
                because="contributions of either sign cancel, where the Shapley value weighs them by size",
            ),
            holds("dummy", because="in expectation, and exactly where all coalitions are asked"),
            _SAME_GAME,
            holds("symmetry", because=_REDRAWN),
        ),
    )
)

register(
    Method(
        name="shapley_main_effects",
        attribute=shapley_main_effects,
        reference="Lundberg, Erion, Lee (2018), equation 6; Bordt, von Luxburg (2023), order 2",
        cost="2^players forwards, of players that differ from the baseline",
        cost_class="exponential",
        claims=_of_a_mean(
            "Shapley value and Shapley interaction are symmetric",
            complete=violates("completeness", witness="or-witness-v1", because="interactions are left out"),
        ),
    )
)
