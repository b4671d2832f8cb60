"""What LAION calls each weight of a CLAP, and what transformers calls it."""

from soundjudge.clap.encoders.name_tables import (
    NameTable,
    Row,
    bert_rows,
    htsat_dropped,
    htsat_rows,
    same,
)

AUDIO, TEXT = "audio_branch.", "text_branch."

TABLE: tuple[Row, ...] = (
    (
        "",
        "",
        {
            **same("logit_scale_a", "logit_scale_t"),
            "audio_projection.0": "audio_projection.linear1",
            "audio_projection.2": "audio_projection.linear2",
            "text_projection.0": "text_projection.linear1",
            "text_projection.2": "text_projection.linear2",
        },
    ),
    *htsat_rows(AUDIO),
    (
        AUDIO,
        "audio_model.audio_encoder.",
        {  # of fused models alone
            **same("patch_embed.mel_conv2d"),
            **same("patch_embed.fusion_model.local_att.N", "patch_embed.fusion_model.global_att.N"),
        },
    ),
    *bert_rows(TEXT),
)
DROPPED = {
    **htsat_dropped(AUDIO),
    "text_branch.embeddings.position_ids": "the model computes it itself",
    "audio_branch.spectrogram_extractor.stft.conv_real": "front end, compared with ours",
    "audio_branch.spectrogram_extractor.stft.conv_imag": "front end, compared with ours",
    "audio_branch.logmel_extractor.melW": "front end, compared with ours",
    "audio_transform.sequential.N": "a branch of the training's loss; no part of an embedding",
    "text_transform.sequential.N": "a branch of the training's loss; no part of an embedding",
}
LAION = NameTable(TABLE, DROPPED, "LAION's files with an HTSAT and a RoBERTa")
rename_weights = LAION.rename
