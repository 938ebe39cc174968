"""Build networks by name: those of the menu, and a user's own ``module:factory``.

``menu.py`` lists them; each family has a file of its own.
"""

from init_bench.models.convolutional import lenet as lenet
from init_bench.models.coordinate_networks import Sine as Sine
from init_bench.models.coordinate_networks import siren as siren
from init_bench.models.menu import MODELS as MODELS
from init_bench.models.menu import OFFERED as OFFERED
from init_bench.models.menu import OWN as OWN
from init_bench.models.menu import SHAPING as SHAPING
from init_bench.models.menu import Factory as Factory
from init_bench.models.menu import factory_of as factory_of
from init_bench.models.menu import make as make
from init_bench.models.menu import takes as takes
from init_bench.models.perceptron import mlp as mlp
from init_bench.models.recurrent import lstm_rows as lstm_rows
from init_bench.models.residual import resnet18 as resnet18
from init_bench.models.residual import resnet_small as resnet_small
from init_bench.models.transformer import vit_small as vit_small
from init_bench.models.user_factory import NAMED as NAMED
from init_bench.models.user_factory import check_module as check_module
from init_bench.models.user_factory import find_factory as find_factory
