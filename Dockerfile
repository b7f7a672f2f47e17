# The service, with the Factbook and the embedder's weights inside, so that it needs no model hub.
# On Linux x86-64 pip's default build of torch is the CUDA one, several GB; a pip configuration that
# prefers the CPU build makes a much smaller image.
FROM python:3.12-slim

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE windowfit.py ./
COPY chunking chunking
COPY retrieval retrieval
COPY ingest ingest
COPY serve serve
COPY eval eval
RUN pip install --no-cache-dir -c constraints.txt '.[all]'

ENV PYTHONUNBUFFERED=1 \
    WINDOWFIT_HOME=/data \
    WINDOWFIT_FACTBOOK=/opt/windowfit/factbook
COPY scripts/fetch_data.py scripts/
RUN useradd --create-home --uid 10001 windowfit \
    && install -d -o windowfit /data /opt/windowfit
# Away from the sources, which the installed packages replace.
WORKDIR /home/windowfit
USER windowfit
# A new named volume on /data starts as a copy of this, weights included.
RUN python /app/scripts/fetch_data.py --cache /opt/windowfit

VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["windowfit"]
CMD ["serve", "--host", "0.0.0.0"]
