"""CausalCLIP's app: `python app.py`, then open the address that it prints.

GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where it listens; CAUSALCLIP_MODEL names another
detector (a folder). CAUSALCLIP_VLM names a vision-language model for the Purify tab, beside the
embedded one. CAUSALCLIP_PROFILE names an archive's profile. CAUSALCLIP_RUNTIME says what it judges
in, see docs/hosting.md. CAUSALCLIP_HOSTS adds names under which it may be reached, such as
check.example.org. GRADIO_TEMP_DIR says where uploads are kept, CAUSALCLIP_KEPT for how many
seconds, CAUSALCLIP_ROOM how many MB of them.
"""

from ui.start import main

if __name__ == "__main__":
    main()
