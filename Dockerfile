FROM python:3.12-slim
# As `make app`: PyTorch's CPU build where it can be reached; "none" for the one with CUDA.
ARG CAUSALCLIP_TORCH_INDEX=""
WORKDIR /app
ENV PIP_NO_CACHE_DIR=1
COPY requirements.txt requirements.lock ./
COPY scripts/install.py scripts/
RUN python scripts/install.py
COPY . .
RUN useradd --create-home app
USER app
ENV GRADIO_SERVER_NAME=0.0.0.0
EXPOSE 7860
CMD ["python", "app.py"]
