"""The add-ons' data files: what ships, what settings change, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.bootstrap.addon import HelmSource, ManifestSource
from agent.bootstrap.catalog import CatalogOptions, load, mirrored
from agent.bootstrap.errors import CatalogError

HELM = """
name = "{name}"
kind = "helm"
version = "1.0.0"
depends_on = {depends_on}
enabled = {enabled}
[helm]
release = "{name}"
chart = "{name}"
repository = "http://charts.example"
target_namespace = "{name}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(
    folder: Path, name: str, depends_on: str = "[]", enabled: str = "true", text: str = ""
) -> None:
    (folder / name).mkdir()
    content = text or HELM.format(name=name, depends_on=depends_on, enabled=enabled)
    (folder / name / "addon.toml").write_text(content)


def shipped(name: str, **options):
    return next(a for a in load(CatalogOptions(**options)) if a.name == name)


def containers(add_on):
    stateful_set = next(m for m in add_on.source.manifests if m["kind"] == "StatefulSet")
    return stateful_set["spec"]["template"]["spec"]["containers"]


def test_garage_and_cloudnative_pg_are_installed_by_default():
    assert {a.name for a in load(CatalogOptions()) if a.enabled} == {"cloudnative-pg", "garage"}


def test_garage_is_pinned_by_the_versions_table():
    add_on = shipped("garage")
    assert containers(add_on)[0]["image"] == f"docker.io/dxflrs/garage:v{add_on.version}"


def test_garages_namespace_comes_before_its_other_objects():
    add_on = shipped("garage")
    assert [m["metadata"]["name"] for m in add_on.namespaces] == ["skerry-storage"]
    assert isinstance(add_on.source, ManifestSource)
    assert all(m["kind"] != "Namespace" for m in add_on.source.manifests)


def test_cloudnative_pg_never_reinstalls():
    source = shipped("cloudnative-pg").source
    assert isinstance(source, HelmSource)
    assert source.failure_policy == "abort"
    assert source.version == "0.29.0"


def test_the_image_mirror_reaches_manifests():
    add_on = shipped("garage", image_mirror="registry.local:5000")
    assert containers(add_on)[0]["image"] == f"registry.local:5000/dxflrs/garage:v{add_on.version}"


def test_the_image_mirror_reaches_chart_values():
    source = shipped("cloudnative-pg", image_mirror="registry.local").source
    assert "repository: registry.local/cloudnative-pg/cloudnative-pg" in source.values


def test_an_https_chart_mirror_replaces_the_repository():
    source = shipped("cloudnative-pg", chart_mirror="https://charts.local").source
    assert (source.repository, source.chart) == ("https://charts.local", "cloudnative-pg")


def test_an_oci_chart_mirror_replaces_the_chart():
    source = shipped("cloudnative-pg", chart_mirror="oci://registry.local/charts").source
    assert (source.repository, source.chart) == ("", "oci://registry.local/charts/cloudnative-pg")


def test_the_storage_class_reaches_volume_claims():
    add_on = shipped("garage", storage_class="fast")
    stateful_set = next(m for m in add_on.source.manifests if m["kind"] == "StatefulSet")
    classes = {c["spec"]["storageClassName"] for c in stateful_set["spec"]["volumeClaimTemplates"]}
    assert classes == {"fast"}


def test_a_version_override_changes_the_configuration():
    changed = shipped("garage", versions={"garage": "9.9.9"})
    assert changed.version == "9.9.9"
    assert changed.spec_hash != shipped("garage").spec_hash


def test_the_hash_is_stable():
    assert shipped("garage").spec_hash == shipped("garage").spec_hash


def test_a_disabled_add_on_is_listed_but_not_enabled():
    assert not shipped("garage", disabled=frozenset({"garage"})).enabled


def test_an_opt_in_add_on_needs_to_be_enabled(folder):
    write(folder, "heavy", enabled="false")
    assert [a.enabled for a in load(CatalogOptions(), [folder])] == [False]
    assert [a.enabled for a in load(CatalogOptions(enabled=frozenset({"heavy"})), [folder])] == [
        True
    ]


def test_dependencies_come_first(folder):
    write(folder, "a", depends_on='["b"]')
    write(folder, "b")
    assert [a.name for a in load(CatalogOptions(), [folder])] == ["b", "a"]


def test_a_circle_is_refused(folder):
    write(folder, "a", depends_on='["b"]')
    write(folder, "b", depends_on='["a"]')
    with pytest.raises(CatalogError, match="circle: a → b → a"):
        load(CatalogOptions(), [folder])


def test_an_unknown_dependency_is_refused(folder):
    write(folder, "a", depends_on='["zzz"]')
    with pytest.raises(CatalogError, match="depends on 'zzz'"):
        load(CatalogOptions(), [folder])


def test_an_unknown_name_in_the_settings_is_refused():
    with pytest.raises(
        CatalogError, match="disabled: there is no add-on 'garrage'; known: cloudnative-pg"
    ):
        load(CatalogOptions(disabled=frozenset({"garrage"})))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "addon.toml"),
        ('name = "other"\nkind = "helm"', "its folder is"),
        ('name = "bad"\nversion = "1"\nkind = "magic"', "must be helm or manifests"),
        ('name = "bad"\nversion = "1"\nkind = "helm"', "chart is missing"),
        ('name = "bad"\nkind = "helm"', "version is missing"),
        ('name = "bad"\nversion = "1"\nkind = "manifests"', "manifests.yaml"),
    ],
)
def test_wrong_data_is_refused_with_its_place(folder, text, message):
    write(folder, "bad", text=text)
    with pytest.raises(CatalogError, match=message):
        load(CatalogOptions(), [folder])


@pytest.mark.parametrize(
    ("image", "result"),
    [
        ("docker.io/dxflrs/garage:v1", "m:5000/dxflrs/garage:v1"),
        ("ghcr.io/a/b@sha256:00", "m:5000/a/b@sha256:00"),
        ("dxflrs/garage", "m:5000/dxflrs/garage"),
        ("nginx", "m:5000/library/nginx"),
    ],
)
def test_a_mirror_replaces_the_registry_and_keeps_the_path(image, result):
    assert mirrored(image, "m:5000/") == result
