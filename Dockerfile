# The daemon for a project that is mounted at /project; see docker-compose.yml.

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python -m venv /opt/fp-events \
    && /opt/fp-events/bin/pip install --no-cache-dir --require-hashes -r requirements.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY pipelines pipelines
COPY fp_events fp_events
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/fp-events/bin/pip install --no-cache-dir --no-deps /wheels/*.whl \
    && /opt/fp-events/bin/python -m compileall -q /opt/fp-events/lib

FROM python:3.13-slim
# A new named volume takes over owner and mode of the folder that it is mounted on.
RUN useradd --uid 10001 --no-create-home --home-dir /project fp-events \
    && install --directory --owner=fp-events --group=fp-events --mode=0700 /project/.fp-events
COPY --from=build /opt/fp-events /opt/fp-events
# The file system may be read-only: nothing is written beside the code.
ENV PATH=/opt/fp-events/bin:$PATH PYTHONDONTWRITEBYTECODE=1
WORKDIR /project
USER fp-events
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["fp-events", "status"]
ENTRYPOINT ["fp-events"]
CMD ["serve"]
