FROM python:3.12-slim
# PyTorch's CPU build is much smaller: --build-arg TORCH="torch --index-url ...", with the address that pytorch.org gives.
ARG TORCH="torch>=2.8,<3"
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir $TORCH && pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN useradd --create-home app
USER app
ENV GRADIO_SERVER_NAME=0.0.0.0
EXPOSE 7860
CMD ["python", "app.py"]
