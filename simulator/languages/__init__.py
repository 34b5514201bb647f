"""What a reference learns to speak: a Markov grammar, or a text; and every module here with a LANGUAGE in it."""

from simulator.common.discovery import modules_in
from simulator.languages.language import Kind

LANGUAGES: dict[str, Kind] = {
    module.LANGUAGE.name: module.LANGUAGE for module in modules_in("simulator.languages") if hasattr(module, "LANGUAGE")
}
