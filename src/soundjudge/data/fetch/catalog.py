"""What `soundjudge fetch` downloads: repositories, files, hashes, licenses, and where it is put.

The hashes are those that other public projects state; a download is checked against them.
"""

from pathlib import Path

from soundjudge.data.fetch.entries import Entry, Mirror, RemoteFile
from soundjudge.errors import SoundjudgeError

OFFICIAL = Path("checkpoints/official")  # where the recipes look
DOWNLOADS = Path("downloads")  # in the user's cache


# The text side of a CLAP, and what transformers reads it with.
CLAP_TEXT = (
    RemoteFile("config.json", 6_000),
    RemoteFile("preprocessor_config.json", 1_000, optional=True),
    RemoteFile("processor_config.json", 1_000, optional=True),
    RemoteFile("tokenizer.json", 2_200_000),
    RemoteFile("tokenizer_config.json", 2_000),
    RemoteFile("special_tokens_map.json", 1_000, optional=True),
    RemoteFile("vocab.json", 800_000, optional=True),
    RemoteFile("merges.txt", 500_000, optional=True),
)
QWEN = Mirror("Qwen/Qwen2.5-0.5B-Instruct", "7ae557604adf67be50417f59c2c2f167def9a775")
QWEN_TEXT = (
    RemoteFile("config.json", 1_000),
    RemoteFile("generation_config.json", 1_000, optional=True),
    RemoteFile("tokenizer.json", 7_000_000),
    RemoteFile("tokenizer_config.json", 8_000),
)
QWEN_LICENSE = "Apache-2.0"

TMU, TMU_TOKENIZER = "tmu2026", "qwen2.5-0.5b-tokenizer"
GPT2_TOKENIZER = "gpt2-tokenizer"
CATALOG = {
    "beats": Entry(
        description="BEATs iter3+ (AS2M), the audio encoder of the language model",
        mirrors=(
            Mirror(
                "Bencr/beats-checkpoints",
                "082fb1849d55bef1ee52ee8d8910b3adc69d4bc8",
                kind="dataset",
            ),
            Mirror("lpepino/beats_ckpts"),
        ),
        files=(
            RemoteFile(
                "BEATs_iter3_plus_AS2M.pt",
                361_500_000,
                "d43cbfad4d7b56381c061d7a24774f908d4d94c72961f6eb1d9090ff18cd8d34",
            ),
        ),
        license="MIT",
        path=OFFICIAL / "BEATs_iter3_plus_AS2M.pt",
    ),
    "qwen2.5-0.5b": Entry(
        description="Qwen2.5-0.5B-Instruct, the language model",
        mirrors=(QWEN,),
        files=(
            *QWEN_TEXT,
            RemoteFile(
                "model.safetensors",
                988_097_824,
                "fdf756fa7fcbe7404d5c60e26bff1a0c8b8aa1f72ced49e7dd0210fe288fb7fe",
            ),
        ),
        license=QWEN_LICENSE,
        path=OFFICIAL / "Qwen2.5-0.5B-Instruct",
    ),
    TMU_TOKENIZER: Entry(
        description="the configuration and tokenizer of Qwen2.5-0.5B-Instruct, without weights",
        mirrors=(QWEN,),
        files=QWEN_TEXT,
        license=QWEN_LICENSE,
        path=DOWNLOADS / "Qwen2.5-0.5B-Instruct-tokenizer",
        in_cache=True,
    ),
    "laion-clap": Entry(
        description="CLAP of LAION (HTSAT, unfused)",
        mirrors=(Mirror("laion/clap-htsat-unfused", "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a"),),
        files=(*CLAP_TEXT, RemoteFile("model.safetensors", 614_000_000)),
        license="Apache-2.0",
        path=OFFICIAL / "clap-htsat-unfused",
    ),
    "human-clap": Entry(
        description="Human-CLAP: LAION's CLAP tuned on the listeners of RELATE",
        mirrors=(
            Mirror(
                "sarulab-speech/human-clap-wsce-mae", "06788887d254df15db5c0ca9d54da39d46188063"
            ),
        ),
        files=(
            *CLAP_TEXT,
            RemoteFile(
                "model.safetensors",
                614_000_000,
                "09357f504d52900cb1bc3bf2fe1f3173dd1702781ef0bdedb122a6e47d4c5c61",
            ),
        ),
        license="none stated by its authors: ask them before you pass it on",
        path=OFFICIAL / "human-clap-wsce-mae",
    ),
    "ms-clap-2023": Entry(
        description="CLAP of Microsoft (2023; HTSAT and GPT-2)",
        mirrors=(Mirror("microsoft/msclap", "5e1d53af259bb39d380680e69ca580960b2c66b1"),),
        files=(RemoteFile("CLAP_weights_2023.pth", 690_000_000),),
        license="MS-PL (its page on the hub; the code is MIT)",
        path=OFFICIAL / "ms-clap-2023",
        companion=GPT2_TOKENIZER,
    ),
    GPT2_TOKENIZER: Entry(
        description="the tokenizer of GPT-2, without weights",
        mirrors=(Mirror("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),),
        files=(
            RemoteFile("config.json", 1_000),
            RemoteFile("tokenizer.json", 1_400_000),
            RemoteFile("tokenizer_config.json", 100),
        ),
        license="MIT",
        path=OFFICIAL / "gpt2-tokenizer",
    ),
    "pe-av-small": Entry(
        description="PE-AV (small) of Meta, for regress: sound and text in one space; the size is "
        "a guess",
        mirrors=(Mirror("facebook/pe-av-small", "dd050762bb9704ae9cd996ca45532a98f81d817e"),),
        files=(
            *CLAP_TEXT,
            # The text model alone has 1.6 GB.
            RemoteFile("model.safetensors", 2_500_000_000),
        ),
        license="Apache-2.0",
        path=OFFICIAL / "pe-av-small",
    ),
    "whisper-small": Entry(
        description="Whisper (small) of OpenAI, whose encoder regress can use",
        mirrors=(Mirror("openai/whisper-small", "973afd24965f72e36ca33b3055d56a652f456b4d"),),
        files=(
            RemoteFile("config.json", 2_000),
            RemoteFile("preprocessor_config.json", 185_000),
            RemoteFile("tokenizer.json", 2_500_000),
            RemoteFile("model.safetensors", 967_000_000),
        ),
        license="Apache-2.0",
        path=OFFICIAL / "whisper-small",
    ),
    "minilm": Entry(
        description="all-MiniLM-L6-v2, a sentence encoder that regress can use",
        mirrors=(
            Mirror(
                "sentence-transformers/all-MiniLM-L6-v2", "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
            ),
        ),
        files=(
            RemoteFile("1_Pooling/config.json", 200),
            RemoteFile("config.json", 600),
            RemoteFile("modules.json", 400),
            RemoteFile("sentence_bert_config.json", 100),
            RemoteFile("tokenizer.json", 500_000),
            RemoteFile("tokenizer_config.json", 400),
            RemoteFile(
                "model.safetensors",
                90_900_000,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
        ),
        license="Apache-2.0",
        path=OFFICIAL / "all-MiniLM-L6-v2",
    ),
    TMU: Entry(
        description="the weights of the TMU system of the XACLE challenge 2026, as a judge",
        mirrors=(Mirror("Atotti/xacle-tmu-2026"),),
        files=(RemoteFile("config.json", 1_000), RemoteFile("model.pt", 2_400_000_000)),
        license="CC-BY-NC-4.0: not for commercial use",
        path=DOWNLOADS / "xacle-tmu-2026",
        in_cache=True,
    ),
}


def find_entry(name: str) -> Entry:
    """The entry of that name; SoundjudgeError for an unknown one."""
    if name not in CATALOG:
        raise SoundjudgeError(f"there is no {name!r} to fetch: choose of {', '.join(CATALOG)}")
    return CATALOG[name]
