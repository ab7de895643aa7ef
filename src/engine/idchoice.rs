//! Whom a container runs as, and which ids are mapped for it.

use super::options::{CreateOptions, UsernsMode};
use super::source::Prepared;
use super::users::{self, User};
use crate::error::{Context, Error, Result};
use crate::userns::{self, IdMaps, StoreMap, idmap};

/// The user, and the maps of the nested namespace: inside ↔ ids of the store's namespace, whose own map is `store`.
pub(super) fn decide(options: &CreateOptions, source: &Prepared, store: &StoreMap) -> Result<(User, IdMaps)> {
    let mut user = users::resolve(&source.view, &user_spec(options, source), &options.process.groups)?;
    if store.is_single() || options.namespaces.userns == UsernsMode::OnlyMe {
        // Where one group is mapped, groups cannot be set (user_namespaces(7)).
        user.groups.clear();
    }
    let maps = container_maps(options, store)?;
    check_mapped(&user, &maps, store)?;
    Ok((user, maps))
}

fn user_spec(options: &CreateOptions, source: &Prepared) -> String {
    if let Some(user) = &options.process.user {
        return user.clone();
    }
    match options.namespaces.userns {
        UsernsMode::OnlyMe => {
            format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
        }
        // keep-id without --user: the user stays who they are (podman).
        UsernsMode::KeepId { uid, gid } => format!(
            "{}:{}",
            uid.unwrap_or_else(|| rustix::process::getuid().as_raw()),
            gid.unwrap_or_else(|| rustix::process::getgid().as_raw())
        ),
        UsernsMode::Host | UsernsMode::NoMap => source.image.user.clone().unwrap_or_default(),
    }
}

/// The nested maps: inside ↔ ids of the store's namespace.
fn container_maps(options: &CreateOptions, store: &StoreMap) -> Result<IdMaps> {
    let whole = wanted_maps(options, store)?;
    let outer = store.maps();
    Ok(IdMaps {
        uids: idmap::split_along(&whole.uids, &outer.uids),
        gids: idmap::split_along(&whole.gids, &outer.gids),
    })
}

fn wanted_maps(options: &CreateOptions, store: &StoreMap) -> Result<IdMaps> {
    let sizes = (idmap::size(&store.maps().uids), idmap::size(&store.maps().gids));
    match options.namespaces.userns {
        UsernsMode::Host => Ok(IdMaps { uids: idmap::identity(sizes.0), gids: idmap::identity(sizes.1) }),
        UsernsMode::KeepId { uid, gid } => {
            let uid = uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
            let gid = gid.unwrap_or_else(|| rustix::process::getgid().as_raw());
            if store.is_single() {
                let only = |inside| vec![userns::IdRange { inside, outside: 0, count: 1 }];
                return Ok(IdMaps { uids: only(uid), gids: only(gid) });
            }
            let maps = || -> Result<IdMaps> {
                Ok(IdMaps { uids: idmap::keep_id(uid, sizes.0)?, gids: idmap::keep_id(gid, sizes.1)? })
            };
            maps().what(|| "cannot map the ids of --userns keep-id")
        }
        UsernsMode::OnlyMe => {
            let only = |inside| vec![userns::IdRange { inside, outside: 0, count: 1 }];
            Ok(IdMaps {
                uids: only(rustix::process::getuid().as_raw()),
                gids: only(rustix::process::getgid().as_raw()),
            })
        }
        UsernsMode::NoMap => {
            if store.is_single() {
                return Err(
                    Error::host("cannot use --userns nomap").cause("only your own user id can be mapped")
                );
            }
            Ok(IdMaps { uids: idmap::without_own_id(sizes.0), gids: idmap::without_own_id(sizes.1) })
        }
    }
}

/// A user id outside the map cannot be taken on; say so before anything is made.
pub(super) fn check_mapped(user: &User, maps: &IdMaps, store: &StoreMap) -> Result<()> {
    let uid = idmap::to_outside(&maps.uids, user.uid);
    let gid = idmap::to_outside(&maps.gids, user.gid);
    if uid.is_some() && gid.is_some() {
        return Ok(());
    }
    let what = format!("cannot run as user {}:{}", user.uid, user.gid);
    Err(match store {
        StoreMap::SingleUid { reason, .. } => Error::host(what)
            .cause(format_args!("only one id is mapped: {reason}"))
            .hint("Leave --user out, or ask the administrator for a range: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`."),
        StoreMap::Subordinate(m) | StoreMap::Direct(m) => Error::host(what)
            .cause(format_args!("the id maps have {} user ids and {} group ids", idmap::size(&m.uids), idmap::size(&m.gids)))
            .hint("Choose smaller ids, or ask the administrator for a larger subordinate range."),
    })
}
